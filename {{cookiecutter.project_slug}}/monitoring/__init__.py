"""Generates the Prometheus rules, the alerts and the Grafana dashboards, for `flask slo`; not part of the image."""
