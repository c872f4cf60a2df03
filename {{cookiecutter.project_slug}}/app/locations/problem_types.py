"""The types of the errors of locations."""

from __future__ import annotations

from app.platform.web.problem_types import ProblemType

POSITION_QUOTA_REACHED = ProblemType(
    "position-quota-reached",
    409,
    "The caller has stored as many positions as one user may.",
    "Send fewer positions: `detail` says how many can still be stored.",
)

PROBLEM_TYPES = (POSITION_QUOTA_REACHED,)
