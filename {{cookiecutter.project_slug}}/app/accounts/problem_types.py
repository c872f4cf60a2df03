"""The types of the errors of accounts."""

from __future__ import annotations

from app.platform.web.problem_types import ProblemType

EMAIL_TAKEN = ProblemType(
    "email-taken",
    409,
    "An account with this e-mail exists already.",
    "Sign in, or set a new password through an e-mail if you have forgotten yours.",
)
WRONG_CREDENTIALS = ProblemType(
    "wrong-credentials",
    401,
    "The e-mail or the password is wrong.",
    "Correct them, or set a new password through an e-mail.",
)
INVALID_TOKEN = ProblemType(
    "invalid-token",
    401,
    "The refresh token, or the token of the e-mail, is invalid, expired or has been used already.",
    "Sign in again, or request another e-mail.",
)
WRONG_PASSWORD = ProblemType(
    "wrong-password",
    403,
    "The current password is wrong.",
    "Repeat the request with the right password.",
)
TOO_MANY_FAILED_SIGN_INS = ProblemType(
    "too-many-failed-sign-ins",
    429,
    "There were several wrong passwords for this account, so the next attempt must wait.",
    "Wait for the seconds in the header Retry-After. A new password through an e-mail ends the wait.",
)
LAST_ADMIN = ProblemType(
    "last-admin",
    409,
    "The change would leave no admin.",
    "Give another user the role admin first.",
)

PROBLEM_TYPES = (EMAIL_TAKEN, WRONG_CREDENTIALS, INVALID_TOKEN, WRONG_PASSWORD, TOO_MANY_FAILED_SIGN_INS, LAST_ADMIN)
