"""Codes of the second factor (TOTP, RFC 6238) and recovery codes: each is accepted once."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime

import pyotp
import sqlalchemy as sa
from pyotp.exceptions import OTPVerificationError
from sqlalchemy.orm import Session

from app.accounts.models import RecoveryCode, UserTotp
from app.platform.database.base import rows_changed

WINDOW_STEPS = 1  # accepted before and after the current step, as clocks differ (RFC 6238 section 5.2)
RECOVERY_CODES = 10
RECOVERY_CODE_BYTES = 15  # 120 bits: a fast hash suffices from 112 bits (OWASP ASVS 5, 6.5.2)
GROUP = 6  # characters between two hyphens of a recovery code


def is_enabled(session: Session, user_id: int) -> bool:
    """Whether a sign-in to the account needs a second factor."""
    return enabled_at(session, user_id) is not None


def enabled_at(session: Session, user_id: int) -> datetime | None:
    """Return when the user turned the second factor on; None if it is off."""
    return session.scalar(sa.select(UserTotp.confirmed_at).where(UserTotp.user_id == user_id))


def new_secret() -> str:
    """Return a new secret of 160 bits (RFC 4226 section 4), in base32."""
    return pyotp.random_base32()


def provisioning_uri(secret: str, account: str, issuer: str) -> str:
    """Return the otpauth URI that authenticator apps read from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def matching_step(secret: str | None, code: str) -> int | None:
    """Return the time step that a code belongs to, or None if it belongs to none in the window.

    Without a secret, such as one that cannot be decrypted, no code matches.
    """
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(code, valid_window=WINDOW_STEPS) if secret else None
    except OTPVerificationError:
        return None


def accept_code(session: Session, user_id: int, code: str) -> bool:
    """Whether a code is right and newer than the last accepted one, which it then is; the caller commits.

    Of concurrent requests with one code, the conditional update lets one pass.
    """
    confirmed = (UserTotp.user_id == user_id, UserTotp.confirmed_at.is_not(None))
    stored = session.scalar(sa.select(UserTotp).where(*confirmed).execution_options(populate_existing=True))
    step = matching_step(stored.secret, code) if stored else None
    if step is None:
        return False
    is_newer = sa.or_(UserTotp.last_step.is_(None), UserTotp.last_step < step)
    return rows_changed(session, sa.update(UserTotp).where(*confirmed, is_newer).values(last_step=step)) == 1


def create_recovery_codes(session: Session, user_id: int) -> list[str]:
    """Replace the recovery codes of a user and return the new ones, which are not stored; the caller commits."""
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    session.execute(sa.insert(RecoveryCode), [{"user_id": user_id, "code_hash": _hash(code)} for code in codes])
    return codes


def accept_recovery_code(session: Session, user_id: int, code: str) -> bool:
    """Whether a recovery code is right, which is then deleted; the caller commits."""
    right = sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == _hash(code))
    return rows_changed(session, right) == 1


def count_recovery_codes(session: Session, user_id: int) -> int:
    """Return the number of recovery codes left."""
    codes = sa.select(sa.func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id)
    return session.scalar(codes) or 0


def delete(session: Session, user_id: int) -> bool:
    """Remove the secret and the recovery codes of a user; return False if there was no secret. The caller commits."""
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    return rows_changed(session, sa.delete(UserTotp).where(UserTotp.user_id == user_id)) == 1


def _new_recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_CODE_BYTES)).decode().lower()
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def _hash(code: str) -> str:
    """Return the hash of a recovery code, however it is written: in capitals, with blanks or without hyphens."""
    return hashlib.sha256("".join(filter(str.isalnum, code.lower())).encode()).hexdigest()
