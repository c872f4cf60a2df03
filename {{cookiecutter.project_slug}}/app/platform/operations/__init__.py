"""Health, metrics and startup."""
