"""What queries are made of. Braces are put together here, since a template would take two in a row for its own."""

from __future__ import annotations

WEB, WORKER = "service", "worker"  # the jobs of deploy/prometheus/prometheus.yml
BY_ROUTE = "job, endpoint, method"


def series(name: str, *matchers: str, over: str = "", job: str = WEB) -> str:
    """Select a metric of the web containers or of the workers, over a time like 5m where one is given."""
    return name + "{" + ", ".join((f'job="{job}"', *matchers)) + "}" + (f"[{over}]" if over else "")


def rate(name: str, *matchers: str, over: str, job: str = WEB) -> str:
    """How much a counter grows in a second."""
    return f"rate({series(name, *matchers, over=over, job=job)})"


def increase(name: str, *matchers: str, over: str, job: str = WEB) -> str:
    """How much a counter has grown."""
    return f"increase({series(name, *matchers, over=over, job=job)})"


def total(labels: str, query: str) -> str:
    """Sum over all labels but these."""
    return f"sum by ({labels}) ({query})"


def highest(labels: str, query: str) -> str:
    """Take the maximum over all labels but these."""
    return f"max by ({labels}) ({query})"


def lowest(labels: str, query: str) -> str:
    """Take the minimum over all labels but these."""
    return f"min by ({labels}) ({query})"


def quantile(share: float, histogram: str, labels: str, *matchers: str, over: str, job: str = WEB) -> str:
    """Estimate below which value so large a share of a histogram's observations was."""
    buckets = total(f"{labels}, le", rate(f"{histogram}_bucket", *matchers, over=over, job=job))
    return f"histogram_quantile({share}, {buckets})"


def text_of(name: str) -> str:
    """What Prometheus puts into a text at this place: `$labels.endpoint`, `$value | humanize`."""
    return "{" + "{ " + name + " }" + "}"
