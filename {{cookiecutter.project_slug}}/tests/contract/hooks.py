"""Hooks of the fuzzer: credentials, existing objects, and formats of values."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import schemathesis
from hypothesis import strategies as st

from app.platform.api.pagination import encode_cursor
from tests.contract import fuzz_auth
from tests.samples import fuzz_formats

Case = schemathesis.Case[Any]

NEW_PASSWORDS = {"password", "new_password"}
MAX_QUERY_BYTES = 3500  # Gunicorn rejects request lines over 4094 bytes

times = st.datetimes(datetime(2000, 1, 2), datetime(2025, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - `timezones` applies to the bounds
numbers = st.integers(0, 2**63 - 1)
visible_characters = st.characters(
    categories=("L", "N", "P", "S", "Zs"), max_codepoint=0x2FFF, exclude_characters="\u115f\u1160"
)

# JSON Schema cannot describe these values; the specification names their format.
schemathesis.openapi.format("date-time", times.map(datetime.isoformat))
schemathesis.openapi.format("cursor", st.builds(encode_cursor, times, numbers))
schemathesis.openapi.format("password", st.uuids().map(str))  # common passwords are rejected
schemathesis.openapi.format("visible-text", st.text(visible_characters, min_size=1).filter(str.strip))
for name, texts in fuzz_formats().items():
    schemathesis.openapi.format(name, texts)
schemathesis.openapi.media_type("text/csv", st.sampled_from([b"a,b\n1,2\n", b"a;b\n1;2\n", "é\nü\n".encode()]))

positive_calls: Counter[str] = Counter()  # by operation id


@schemathesis.auth(refresh_interval=None)
class FuzzAuth:
    """Authenticates requests."""

    def get(self, case: Case, context: schemathesis.AuthContext) -> dict[str, str]:
        """Return the header of a request."""
        del case
        return fuzz_auth.auth_header(context.operation.definition.raw["operationId"])

    def set(self, case: Case, data: dict[str, str], context: schemathesis.AuthContext) -> None:
        """Add the header to a request."""
        del context
        case.headers.update(data)


@schemathesis.hook
def before_call(context: Any, case: Case, kwargs: dict[str, Any]) -> None:
    """Insert ids of existing objects and valid tokens into every second valid request of an operation."""
    del context, kwargs
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    _satisfy_other_rules(case)
    operation_id = case.operation.definition.raw["operationId"]
    positive_calls[operation_id] += 1
    if positive_calls[operation_id] % 2 == 0:
        return
    case.path_parameters.update(fuzz_auth.valid_path(case.path_parameters))
    if isinstance(case.body, dict):
        case.body.update(fuzz_auth.valid_body(operation_id))


def _satisfy_other_rules(case: Case) -> None:
    """Change what a schema cannot rule out: wrong ETags, keys of other requests, and common passwords."""
    case.headers.pop("If-Match", None)
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    if isinstance(case.body, dict):
        for name in NEW_PASSWORDS & case.body.keys():
            case.body[name] = (uuid.uuid4().hex * 4)[: len(str(case.body[name]))]


@schemathesis.hook
def after_call(context: Any, case: Case, response: schemathesis.Response) -> None:
    """Create a new session after a 401: a request may have ended the session."""
    del context, case
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        fuzz_auth.CALLER.header = None


@schemathesis.hook
def filter_case(context: Any, case: Case) -> bool:
    """Skip requests with rules that no specification can express: future times, and too long queries."""
    del context
    now = datetime.now(UTC).isoformat()
    in_future = any(time > now for time in request_times([case.body, case.query]))
    return not in_future and len(urlencode(case.query or {}, doseq=True)) < MAX_QUERY_BYTES


def request_times(part: Any) -> Iterator[str]:
    """Yield the times anywhere in a request, all in UTC."""
    if isinstance(part, str) and part[:2] == "20" and part[10:11] == "T":
        yield part
    if isinstance(part, (dict, list)):
        for item in part.values() if isinstance(part, dict) else part:
            yield from request_times(item)


@schemathesis.deserializer("text/csv", "application/x-ndjson", "application/jose")
def as_text(context: Any, response: schemathesis.Response) -> str:
    """Return the body of a text response."""
    del context
    return response.content.decode()
