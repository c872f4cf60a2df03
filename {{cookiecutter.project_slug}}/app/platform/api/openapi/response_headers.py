"""The headers of responses, as the specification describes them."""

from __future__ import annotations

from typing import Any

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {"description": "The id of the request: the client's own if it sent one.", "required": True},
    "RateLimit-Limit": {"description": "Requests allowed per period.", "type": "integer"},
    "RateLimit-Remaining": {"description": "Requests left in the current period.", "type": "integer"},
    "RateLimit-Reset": {"description": "Seconds until another request is allowed.", "type": "integer"},
    "Retry-After": {"description": "Seconds to wait before a retry.", "type": "integer", "required": True},
    "WWW-Authenticate": {"description": "The authentication scheme (RFC 9110).", "required": True},
    "ETag": {"description": "Identifies the content, for `If-None-Match` and `If-Match` (RFC 9110)."},
    "Idempotency-Replayed": {"description": "`true` if this is the stored answer to an earlier request."},
    "Deprecation": {"description": "When this version was or will be deprecated (RFC 9745).", "required": True},
    "Sunset": {"description": "When this version will be removed (RFC 8594)."},
    "Link": {"description": "The documentation, and this route in the successor version (RFC 5829).", "required": True},
}
COMMON_HEADERS = ("X-Request-ID",)
RATE_LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
DEPRECATION_HEADERS = ("Deprecation", "Sunset", "Link")
