"""The types of the errors of privacy."""

from __future__ import annotations

from app.platform.web.problem_types import ProblemType

EXPORT_TOO_LARGE = ProblemType(
    "export-too-large",
    422,
    "The export is too large to encrypt.",
    "Send the request without the passphrase, and encrypt the file yourself.",
)

PROBLEM_TYPES = (EXPORT_TOO_LARGE,)
