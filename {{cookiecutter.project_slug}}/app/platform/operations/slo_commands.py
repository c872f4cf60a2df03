"""`flask slo`, whose commands are in `monitoring`: a tool for development and CI that the image does not contain."""

from __future__ import annotations

from importlib import import_module

import click
from flask import Flask


class SloGroup(click.Group):
    """Imports `monitoring` when one of its commands is looked up, so no web process loads it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return _load_commands().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        return _load_commands().get_command(ctx, cmd_name)


def init_app(app: Flask) -> None:
    """Add the commands."""
    app.cli.add_command(SloGroup("slo", help="Generate Prometheus rules and Grafana dashboards."))


def _load_commands() -> click.Group:
    try:
        commands: click.Group = import_module("monitoring.commands").slo
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"flask slo needs the repository: run it in a checkout with the dev dependencies. No module {error.name!r}."
        ) from error
    return commands
