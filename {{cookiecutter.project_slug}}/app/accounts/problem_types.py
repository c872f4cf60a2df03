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
    "There were several wrong passwords or codes for this account, so the next attempt must wait.",
    "Wait for the seconds in the header Retry-After. A new password through an e-mail ends the wait for passwords.",
)
LAST_ADMIN = ProblemType(
    "last-admin",
    409,
    "The change would leave no admin.",
    "Give another user the role admin first.",
)
OWN_ACCOUNT = ProblemType(
    "own-account",
    409,
    "Admins cannot do this to their own account.",
    "Ask another admin.",
)
ACCOUNT_SUSPENDED = ProblemType(
    "account-suspended",
    403,
    "The password is right, but an admin has suspended the account.",
    "Ask an admin.",
)
USER_SUSPENDED = ProblemType(
    "user-suspended",
    409,
    "The user is suspended.",
    "Unsuspend the user first.",
)
WRONG_CODE = ProblemType(
    "wrong-code",
    403,
    "The code of the second factor is wrong or has been used already.",
    "Wait for the next code of the authenticator app, or use a recovery code.",
)
WRONG_SIGN_IN_CODE = ProblemType(
    "wrong-sign-in-code",
    401,
    "The code of the second factor, or the recovery code, is missing, wrong or has been used already.",
    "Wait for the next code of the authenticator app, or use a recovery code.",
)
SECOND_FACTOR_ON = ProblemType(
    "second-factor-on",
    409,
    "The account has a second factor already.",
    "Remove it first, with a code.",
)
SECOND_FACTOR_OFF = ProblemType(
    "second-factor-off",
    409,
    "The account has no second factor, or no secret waits for its confirmation.",
    "Request a secret first.",
)

PROBLEM_TYPES = (
    *(EMAIL_TAKEN, WRONG_CREDENTIALS, INVALID_TOKEN, WRONG_PASSWORD, TOO_MANY_FAILED_SIGN_INS),
    *(LAST_ADMIN, OWN_ACCOUNT, ACCOUNT_SUSPENDED, USER_SUSPENDED),
    *(WRONG_CODE, WRONG_SIGN_IN_CODE, SECOND_FACTOR_ON, SECOND_FACTOR_OFF),
)
