"""The types of the errors of API keys."""

from __future__ import annotations

from app.platform.web.problem_types import ProblemType

TOO_MANY_API_KEYS = ProblemType(
    "too-many-api-keys",
    409,
    "The user has as many valid API keys as one user may have.",
    "Revoke a key that is no longer needed.",
)

PROBLEM_TYPES = (TOO_MANY_API_KEYS,)
