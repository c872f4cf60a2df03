"""Celery, mail and the metrics of tasks."""
