"""The types of problems (RFC 9457, section 3.1.1): each names one kind of error, and has a page that explains it.

The platform's types are declared here, those of a feature in its `problem_types.py` and in its `Feature`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flask import Flask

from app.platform.components import platform_of

PATH = "/problems"
BLANK = "about:blank"  # the type of a problem whose status says it all


@dataclass(frozen=True)
class ProblemType:
    """One kind of error. Callers compare its URI, so its name never changes.

    `name`: words in lower case with hyphens. `status`: the HTTP status. `meaning`: what happened. `action`: what the
    caller can do.
    """

    name: str
    status: int
    meaning: str
    action: str

    @property
    def uri(self) -> str:
        """The member `type` of its problem documents: a path, so that it is the same under every host name."""
        return f"{PATH}/{self.name}"


MALFORMED_REQUEST = ProblemType(
    "malformed-request",
    400,
    "The service cannot read the request, for example because the body is not valid JSON or is incomplete.",
    "Correct the request: `detail` says what is wrong.",
)
UNTRUSTED_HOST = ProblemType(
    "untrusted-host",
    400,
    "The service does not answer under the host name of the request.",
    "Use the address that the operators of the service published.",
)
AUTHENTICATION_REQUIRED = ProblemType(
    "authentication-required",
    401,
    "The access token or the API key is missing, invalid or expired, or its session has ended.",
    "Refresh the access token or sign in, then repeat the request. Replace an API key that is no longer valid.",
)
ACCOUNT_DELETED = ProblemType(
    "account-deleted",
    401,
    "The credentials are valid, but their account no longer exists.",
    "Sign in with another account.",
)
PERMISSION_DENIED = ProblemType(
    "permission-denied",
    403,
    "The caller is known and is not allowed to do this.",
    "Use an account that has the permission, such as that of an admin.",
)
EMAIL_UNVERIFIED = ProblemType(
    "email-unverified",
    403,
    "The user has not confirmed the e-mail address of the account.",
    "Open the link in the e-mail to this address, then refresh the tokens.",
)
SECOND_FACTOR_REQUIRED = ProblemType(
    "second-factor-required",
    403,
    "Admins must use a second factor.",
    "Set up TOTP for the account, then refresh the tokens.",
)
RECENT_LOGIN_REQUIRED = ProblemType(
    "recent-login-required",
    401,
    "The operation needs a recent proof of the password.",
    "Prove the password again, as `detail` says, and repeat the request with the new access token.",
)
LOGIN_REQUIRED = ProblemType(
    "login-required",
    403,
    "The operation accepts no API keys.",
    "Sign in, and send the access token instead of the API key.",
)
MISSING_SCOPE = ProblemType(
    "missing-scope",
    403,
    "The API key lacks the scope of the operation, which `detail` names.",
    "Create an API key with this scope.",
)
RESOURCE_DELETED = ProblemType(
    "resource-deleted",
    409,
    "Another request deleted something that this request refers to.",
    "Read it again before you repeat the request.",
)
PRECONDITION_FAILED = ProblemType(
    "precondition-failed",
    412,
    "The resource has changed: its ETag is not in the header If-Match.",
    "Read the resource again, and decide with its new ETag.",
)
BODY_TOO_LARGE = ProblemType(
    "body-too-large",
    413,
    "The body is larger than the limit.",
    "Send less at a time: `detail` names the limit.",
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type",
    415,
    "The operation does not accept the media type of the body.",
    "Send the body as `detail` says, with the matching Content-Type.",
)
VALIDATION_FAILED = ProblemType(
    "validation-failed",
    422,
    "The body, the query or a header is well-formed but invalid.",
    "Correct the fields in `errors`. Fields that the documentation does not name are rejected.",
)
RATE_LIMITED = ProblemType(
    "rate-limited",
    429,
    "The caller sent more requests than the rate limit allows.",
    "Wait for the seconds in the header Retry-After, then repeat the request.",
)
OVERLOADED = ProblemType(
    "overloaded",
    503,
    "The service is processing as many requests of this kind as it can.",
    "Wait for the seconds in the header Retry-After, then repeat the request.",
)

# The types that routes declare with `raises`; any route can have the others.
IDEMPOTENCY_KEY_MALFORMED = ProblemType(
    "idempotency-key-malformed",
    400,
    "The header Idempotency-Key is empty, too long, or contains other characters than visible ASCII.",
    "Send a random key, such as a UUID.",
)
IDEMPOTENCY_KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    422,
    "The header Idempotency-Key repeats the key of a request with another body or to another route.",
    "Send a new key with each new request, and the same key only when you repeat a request.",
)
IDEMPOTENCY_CONFLICT = ProblemType(
    "idempotency-conflict",
    409,
    "Another request with the same Idempotency-Key was processed at the same time.",
    "Repeat the request with the same key after the seconds in Retry-After: you get the answer of the other request.",
)
IDEMPOTENCY_ANSWER_UNREADABLE = ProblemType(
    "idempotency-answer-unreadable",
    409,
    "A request with the same Idempotency-Key was processed, and the service cannot read its stored answer.",
    "Check whether the first request had its effect. If you want another one, send the request with a new key.",
)

COMMON_TYPES = (
    *(MALFORMED_REQUEST, UNTRUSTED_HOST, AUTHENTICATION_REQUIRED, ACCOUNT_DELETED),
    *(PERMISSION_DENIED, EMAIL_UNVERIFIED, LOGIN_REQUIRED, MISSING_SCOPE, RESOURCE_DELETED),
    *(BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, VALIDATION_FAILED, RATE_LIMITED, OVERLOADED),
)
PLATFORM_TYPES = (
    *COMMON_TYPES,
    *(SECOND_FACTOR_REQUIRED, RECENT_LOGIN_REQUIRED),
    *(PRECONDITION_FAILED, IDEMPOTENCY_KEY_MALFORMED, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_CONFLICT),
    IDEMPOTENCY_ANSWER_UNREADABLE,
)
# The types of errors that only have a status, such as those of libraries. Other statuses say it all, like 404, or are
# never raised without a type, like 409.
DEFAULT_TYPES = {
    problem_type.status: problem_type
    for problem_type in (
        *(MALFORMED_REQUEST, AUTHENTICATION_REQUIRED, PERMISSION_DENIED, BODY_TOO_LARGE),
        *(UNSUPPORTED_MEDIA_TYPE, VALIDATION_FAILED, RATE_LIMITED),
    )
}


# Statuses of which some problems have a type, and others say it all.
PARTLY_BLANK = (503,)


class ProblemTypes(dict[str, ProblemType]):
    """The types of one app, by name: first those of the platform, then those of its features."""


def init_app(app: Flask) -> None:
    """Register the platform's types."""
    platform_of(app).add(ProblemTypes())
    register(app, PLATFORM_TYPES)


def register(app: Flask, types: Iterable[ProblemType]) -> None:
    """Register the types of a feature."""
    problem_types_of(app).update({problem_type.name: problem_type for problem_type in types})


def problem_types_of(app: Flask) -> ProblemTypes:
    """Return every type of an app, by name."""
    return platform_of(app).get(ProblemTypes)


def possible_uris(status: int, declared: Iterable[ProblemType]) -> list[str]:
    """Return the types that a response with this status can have; `declared`: those that its route declares."""
    types = [problem_type for problem_type in (*declared, *COMMON_TYPES) if problem_type.status == status]
    uris = list(dict.fromkeys(problem_type.uri for problem_type in types))
    return [*uris, BLANK] if not uris or status in PARTLY_BLANK else uris


def default_uri(status: int) -> str:
    """Return the type of an error that only has a status."""
    problem_type = DEFAULT_TYPES.get(status)
    return problem_type.uri if problem_type else BLANK
