"""The declaration of a Prometheus alert; `monitoring` generates the alerting rules."""

from __future__ import annotations

from dataclasses import dataclass

CRITICAL = "critical"  # pages the engineer on call
WARNING = "warning"  # is sent to Slack, and handled within a day


@dataclass(frozen=True)
class Alert:
    """A PromQL condition `expr`, and the message that is sent after it has been true for the duration `for_`.

    `docs/runbook.md` has a heading with its name, with the steps to take.
    """

    name: str
    severity: str
    expr: str
    summary: str
    description: str
    for_: str = ""


def template_variable(name: str) -> str:
    """Return a variable of Prometheus's and Grafana's templates, such as `$labels.endpoint` or `$value | humanize`.

    The braces are joined here, because cookiecutter would render two in a row.
    """
    return "{" + "{ " + name + " }" + "}"
