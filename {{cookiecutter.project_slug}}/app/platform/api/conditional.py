"""Conditional requests (RFC 9110, section 13): `ETag`, `If-None-Match` and `If-Match`.

An ETag is a hash of the body of a response, so a resource needs no version number.
"""

from __future__ import annotations

from functools import wraps
from hashlib import blake2b
from typing import Any, cast

from flask import Response, jsonify
from marshmallow import Schema

from app.platform.web.problem_types import PRECONDITION_FAILED
from app.platform.web.problems import Problem, raises
from app.platform.web.request_state import current_request
from app.platform.web.route_policy import View, policy_of

IF_NONE_MATCH, IF_MATCH = "HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"  # the headers in the WSGI environment


def etagged(view: View) -> View:
    """Add the ETag of the body, and answer a read with it in `If-None-Match` with 304.

    Put it directly above `blueprint.response`.
    """
    own_etag(view)

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        response: Response = view(*args, **kwargs)
        response.headers.add("ETag", _etag(b"".join(response.iter_encoded())))
        environ = current_request().environ
        if IF_NONE_MATCH in environ:
            response.make_conditional({name: value for name, value in environ.items() if name != IF_MATCH})
        return response

    return cast(View, wrapper)


def own_etag(view: View) -> View:
    """Declare that the view itself adds the ETag and compares it."""
    policy_of(view).has_etag = True
    return view


def checks_if_match(view: View) -> View:
    """Declare that the view calls `require_match`."""
    policy_of(view).checks_if_match = True
    return raises(PRECONDITION_FAILED)(view)


def require_match(schema: Schema, resource: object) -> None:
    """Raise a 412 problem if the request has an `If-Match` without the ETag of the resource, read with this schema.

    Call it after the resource is locked and before it changes: of two concurrent changes, the second is rejected.
    """
    request = current_request()
    if IF_MATCH not in request.environ:
        return
    body = jsonify(schema.dump(resource)).get_data()
    if not request.if_match.contains_raw(_etag(body)):
        raise Problem(PRECONDITION_FAILED, "The resource has changed since you read it: its ETag is not in If-Match.")


def _etag(body: bytes) -> str:
    """Return the strong ETag of a body; werkzeug's `add_etag` takes several times as long."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'
