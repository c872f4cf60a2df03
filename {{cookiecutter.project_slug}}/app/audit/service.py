"""Writing to the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.audit.models import AuditLog


@dataclass(frozen=True)
class Origin:
    """Where a request came from."""

    address: str | None
    request_id: str | None


def record(
    session: Session, action: str, *, actor_id: int | None, target: tuple[str, int], origin: Origin, **details: Any
) -> None:
    """Add an entry to the session, so that it is committed with what it tells of, or not at all."""
    target_type, target_id = target
    session.add(
        AuditLog(
            action=action,
            actor_id=actor_id,
            target_type=target_type,
            target_id=str(target_id),
            address=origin.address,
            request_id=origin.request_id,
            details=details,
        )
    )
