"""What the fuzzer knows beside the specification: who calls, and what is true in this database and at this hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import urlencode

import schemathesis
from hypothesis import strategies as st

from app.pagination import encode
from tests.accounts.factory import PASSWORD
from tests.contract import callers

Case = schemathesis.Case[Any]

LONGEST_QUERY = 3500  # bytes; Gunicorn itself refuses what makes a line of more than 4094

times = st.datetimes(datetime(2000, 1, 2), datetime(2025, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the bounds are of the zone that is given
numbers = st.integers(0, 2**63 - 1)
longitudes = st.integers(-1800, 1800).map(lambda tenths: tenths / 10)
latitudes = st.lists(st.integers(-900, 900).map(lambda tenths: tenths / 10), min_size=2, max_size=2).map(sorted)

# What JSON Schema cannot say, the specification gives a name, and it is told here how such a value is made.
schemathesis.openapi.format("date-time", times.map(datetime.isoformat))
schemathesis.openapi.format("cursor", st.builds(encode, times, numbers))
schemathesis.openapi.format("bbox", st.builds("{0},{2[0]},{1},{2[1]}".format, longitudes, longitudes, latitudes))
schemathesis.openapi.format("password", st.just(PASSWORD))
schemathesis.openapi.media_type("text/csv", st.sampled_from([b"a,b\n1,2\n", b"a;b\n1;2\n", "é\nü\n".encode()]))

positive_calls = count()


@schemathesis.auth(refresh_interval=None)
class Callers:
    """Signs requests."""

    def get(self, case: Case, context: schemathesis.AuthContext) -> dict[str, str]:
        """The header to send."""
        del case
        return callers.proof(context.operation.definition.raw["operationId"])

    def set(self, case: Case, data: dict[str, str], context: schemathesis.AuthContext) -> None:
        """Send it."""
        del context
        case.headers.update(data)


@schemathesis.hook
def before_call(context: Any, case: Case, kwargs: dict[str, Any]) -> None:
    """Have every second well-formed request speak of something that is there."""
    del context, kwargs
    if case.meta is None or not case.meta.generation.mode.is_positive or next(positive_calls) % 2:
        return
    case.path_parameters.update(callers.true_path(case.path_parameters))
    if isinstance(case.body, dict):
        case.body.update(callers.true_body(case.operation.definition.raw["operationId"]))


@schemathesis.hook
def after_call(context: Any, case: Case, response: schemathesis.Response) -> None:
    """Sign in anew when a session may have ended."""
    del context, case
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        callers.REGULAR.header = None


@schemathesis.hook
def filter_case(context: Any, case: Case) -> bool:
    """Leave out what no specification can speak of."""
    del context
    now = datetime.now(UTC).isoformat()
    to_come = any(time > now for time in given_times([case.body, case.query]))
    return not to_come and len(urlencode(case.query or {}, doseq=True)) < LONGEST_QUERY


def given_times(part: Any) -> Iterator[str]:
    """The times anywhere in a request, all of which are UTC."""
    if isinstance(part, str) and part[:2] == "20" and part[10:11] == "T":
        yield part
    if isinstance(part, (dict, list)):
        for item in part.values() if isinstance(part, dict) else part:
            yield from given_times(item)


@schemathesis.deserializer("text/csv", "application/x-ndjson", "application/jose")
def as_text(context: Any, response: schemathesis.Response) -> str:
    """Answers that are text."""
    del context
    return response.content.decode()
