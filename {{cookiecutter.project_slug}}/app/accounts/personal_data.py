"""The personal data of accounts, for exports."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service
from app.accounts.models import EmailChange, RecoveryCode, UserTotp
from app.platform.personal_data import rows_as_dicts

TABLES = ("users", "user_sessions", "email_changes", "user_totp", "recovery_codes")
# The models besides the user and the sessions, each with the column that is secret.
MODELS = ((EmailChange, "link_id"), (UserTotp, "secret"), (RecoveryCode, "code_hash"))


def export(session: Session, user_id: int) -> dict[str, Any]:
    """Return the personal data of an account, without credentials; each recovery code that is left is one row."""
    rows = {
        model.__tablename__: rows_as_dicts(session, sa.select(model).where(model.user_id == user_id), exclude=(secret,))
        for model, secret in MODELS
    }
    return {**service.export(session, user_id), **rows}
