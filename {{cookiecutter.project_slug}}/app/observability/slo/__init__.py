"""Service level objectives: how soon and how surely each route answers.

They are declared beside the views (`objectives`). Made from them and committed are Prometheus's rules (`rules`, with
the `alerts`) and Grafana's `dashboards`; `flask slo` writes both, and checks them.
"""

from __future__ import annotations

from flask import Flask

from app.observability.slo import commands, objectives


def init_app(app: Flask) -> None:
    """Hold every route to its objective; to be called when all routes are there."""
    objectives.look_up(app)
    app.cli.add_command(commands.slo)
