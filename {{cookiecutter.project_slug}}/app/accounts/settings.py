"""Settings of accounts."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.field_types import HTTP_SCHEMES
from app.platform.settings.fields import integer, rate_limit, text, url


@dataclass(frozen=True, kw_only=True)
class AccountsSettings:
    """Read and checked together with the settings of the platform."""

    REFRESH_TOKEN_SECONDS: int = integer(
        2_592_000, 3600, 31_536_000, "Seconds without use after which a login expires.", section="Accounts"
    )
    SESSION_MAX_SECONDS: int = integer(
        7_776_000, 3600, 31_536_000, "Seconds after which a login expires, also if it is used."
    )
    PASSWORD_RESET_URL: str | None = url(
        HTTP_SCHEMES,
        "Page that password reset e-mails link to; default: PUBLIC_BASE_URL/reset-password.",
        public_because="it is the URL of a page",
    )
    EMAIL_VERIFICATION_URL: str | None = url(
        HTTP_SCHEMES, "Page that e-mails to new accounts link to; default: PUBLIC_BASE_URL/verify-email."
    )
    EMAIL_CHANGE_URL: str | None = url(
        HTTP_SCHEMES, "Page that e-mails about a new address link to; default: PUBLIC_BASE_URL/confirm-email."
    )
    UNVERIFIED_ACCOUNT_DAYS: int = integer(
        7, 1, 365, "Days after which an account is deleted whose e-mail address has never been confirmed."
    )
    ADMIN_EMAIL: str | None = text(None, "E-mail address of the first admin, created by `flask init-db`.")
    ADMIN_PASSWORD: str | None = text(
        None,
        "Password of the first admin, 10 to 128 characters, no common one; read only when the account is created.",
        pattern=r"(?s)^.{10,128}$",
        error="Must have from 10 to 128 characters.",
        secret=True,
    )
    RATELIMIT_REGISTER: str = rate_limit("10/hour", "Registering an account.")
    RATELIMIT_LOGIN: str = rate_limit("5/minute", "Logging in, and changing the password.")
    RATELIMIT_FORGOT_PASSWORD: str = rate_limit("5/minute", "Requesting an e-mail with a link.")
    RATELIMIT_ACCOUNT_EMAIL: str = rate_limit("10/hour", "E-mails to one address, from all clients together.")
    RATELIMIT_TOKEN: str = rate_limit("10/minute", "Uses of one token in a body, from all clients together.")
    RATELIMIT_FAILED_SIGN_IN_AUDIT: str = rate_limit(
        "500/hour", "Failed sign-ins that the audit log records, of the whole service."
    )
    SIGN_IN_FREE_FAILURES: int = integer(
        5,
        1,
        100,
        "Failed sign-ins to one account after which the next must wait: 15 seconds, then 30, 60 and so on.",
    )
    SIGN_IN_MAX_WAIT_SECONDS: int = integer(900, 15, 86_400, "Longest wait after failed sign-ins to one account.")
    RATELIMIT_ADMIN_USERS: str = rate_limit("200/hour", "Admins: listing users.")
    RATELIMIT_ADMIN_ROLE: str = rate_limit("50/hour", "Admins: changing a role.")
    RATELIMIT_TOTP: str = rate_limit("10/minute", "Setting up a second factor, and using it to sign in.")
    RATELIMIT_ADMIN_RECOVERY: str = rate_limit("10/hour", "Admins: removing a second factor, and changing an e-mail.")
    RATELIMIT_ADMIN_RESET_PASSWORD: str = rate_limit("10/hour", "Admins: resetting a user's password.")
