"""PromQL expressions as strings; without f-string escapes, because cookiecutter would render two braces in a row."""

from __future__ import annotations

WEB, WORKER = "service", "worker"  # the jobs of deploy/prometheus/prometheus.yml
BY_ROUTE = "job, endpoint, method"
FIRING_ALERTS = 'ALERTS{alertstate="firing"}'


def selector(metric: str, *matchers: str, window: str = "", job: str = WEB) -> str:
    """Return a selector for a metric of the web containers or of the workers; with a window such as 5m, a range."""
    return metric + "{" + ", ".join((f'job="{job}"', *matchers)) + "}" + (f"[{window}]" if window else "")


def rate(counter: str, *matchers: str, window: str, job: str = WEB) -> str:
    """Return the increase of a counter per second."""
    return f"rate({selector(counter, *matchers, window=window, job=job)})"


def increase(counter: str, *matchers: str, window: str, job: str = WEB) -> str:
    """Return the increase of a counter over the window."""
    return f"increase({selector(counter, *matchers, window=window, job=job)})"


def sum_by(labels: str, expr: str) -> str:
    """Return the sum over all labels except these."""
    return f"sum by ({labels}) ({expr})"


def max_by(labels: str, expr: str) -> str:
    """Return the maximum over all labels except these."""
    return f"max by ({labels}) ({expr})"


def min_by(labels: str, expr: str) -> str:
    """Return the minimum over all labels except these."""
    return f"min by ({labels}) ({expr})"


def histogram_quantile(
    quantile: float, histogram: str, labels: str, *matchers: str, window: str, job: str = WEB
) -> str:
    """Return an estimate of a quantile (0 to 1) of a histogram, by these labels."""
    buckets = sum_by(f"{labels}, le", rate(f"{histogram}_bucket", *matchers, window=window, job=job))
    return f"histogram_quantile({quantile}, {buckets})"
