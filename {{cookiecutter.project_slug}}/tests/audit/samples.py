"""Sample rows of the audit log, for the tests over all features."""

from __future__ import annotations

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit.models import AuditLog
from tests.unique_values import unique_text, unique_time

SECRET_COLUMNS: frozenset[str] = frozenset()  # not exported


def create_personal_data(app: Flask, session: Session, user: User) -> None:
    """Create an entry with every column filled."""
    del app
    session.add(
        AuditLog(
            created_at=unique_time(),
            actor_id=user.id,
            action=unique_text(),
            target_type=unique_text(),
            target_id=unique_text(),
            address=unique_text(),
            request_id=unique_text(),
            details={"sample": unique_text()},
        )
    )


PERSONAL_DATA = create_personal_data


# The table that each action of the audit log changes; empty: the entry records an event.
AUDIT_ACTIONS = {
    "admin.read": "",
    "admin.refused": "",
    "audit.copy_replaced": "",
    "audit.key_accepted": "",
}
