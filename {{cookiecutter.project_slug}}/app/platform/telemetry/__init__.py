"""Logs, traces, metrics and objectives."""
