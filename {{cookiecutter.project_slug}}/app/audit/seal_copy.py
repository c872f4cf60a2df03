"""The copy of the newest seal in the storage: it shows that the chain in the database was cut or replaced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.audit.models import AuditSeal
from app.audit.seals import Link, SealSigner, confirmed_link, link_of, newest_link, seal_query
from app.platform.database.identity import database_id
from app.platform.security.signatures import InvalidSignature, UnknownKey
from app.platform.storage import Storage

KEY = "audit-log/newest-seal.json"
MAX_BYTES = 4096
REPLACE = "flask audit-log seal --replace-copy"


class CopyMismatch(Exception):
    """The copy does not belong to the chain; the message says what differs and what to do."""


@dataclass(frozen=True)
class SealCopy:
    """The copy in the storage. Every method raises `StorageUnavailable`."""

    storage: Storage
    signer: SealSigner

    def check(self, session: Session) -> Link | None:
        """Return the seal that the copy shows, None if there is no copy; raises `CopyMismatch`."""
        try:
            content = self._read()
        except UnknownKey as error:
            raise CopyMismatch(
                f"The copy of the newest seal in the storage ({KEY}) cannot be checked: {error}. If that was a key of "
                "this service, add its secret to LEGACY_ENCRYPTION_KEYS, and run: flask audit-log seal. If its secret "
                f"is lost, run: {REPLACE}"
            ) from None
        except InvalidSignature as error:
            raise CopyMismatch(f"The copy of the newest seal in the storage ({KEY}) was changed: {error}.") from None
        if content is None:
            return None
        copied, database = content
        if database != database_id(session):
            raise CopyMismatch(
                "The copy of the newest seal in the storage belongs to another database. If this is the right "
                f"one, run: {REPLACE}"
            )
        row = session.execute(seal_query().where(AuditSeal.id == copied.seal_id)).first()
        if row is None or link_of(row).hash != copied.hash:
            raise CopyMismatch(_difference(copied, newest_link(session), cut=row is None))
        return copied

    def update(self, session: Session, *, replace: bool) -> None:
        """Copy the newest seal; raises `CopyMismatch` unless the copy is a part of the chain, or is to be replaced.

        Raises `UnconfirmedSeal` if the newest seal has no valid signature.
        """
        if not replace:
            self.check(session)
        newest = confirmed_link(session, self.signer)
        if newest.created_at:
            members = {"database": database_id(session), "seal": newest.seal_id, "last_entry": newest.last_id}
            content = {**members, "hash": newest.hash, "created_at": newest.created_at.isoformat()}
            self.storage.put(KEY, self.signer.sign(content))

    def _read(self) -> tuple[Link, str] | None:
        """Return the copied seal and the id of its database; raises `InvalidSignature`."""
        try:
            with self.storage.open(KEY) as file:
                signed = file.read(MAX_BYTES)
        except FileNotFoundError:
            return None
        content, _ = self.signer.verify(signed)
        created_at = datetime.fromisoformat(content["created_at"])
        return Link(content["seal"], content["last_entry"], content["hash"], created_at), content["database"]


def _difference(copied: Link, newest: Link, *, cut: bool) -> str:
    found = (
        f"The storage has a copy of seal {copied.seal_id} of {copied.created_at}, up to entry {copied.last_id}, but "
        f"the database ends with seal {newest.seal_id}: the chain was cut"
        if cut
        else f"Seal {copied.seal_id} differs from its copy in the storage: the chain was replaced"
    )
    return f"{found}. If a backup of the database was restored, accept that with: {REPLACE}"
