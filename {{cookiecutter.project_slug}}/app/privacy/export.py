"""Exports the personal data of a user as JSON, streamed in chunks, and encrypts it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from joserfc import jwe
from joserfc.jwk import OctKey
from sqlalchemy.orm import Session

from app.platform.database.base import utc_now
from app.platform.personal_data import PersonalDataSource

FORMAT_VERSION = 1
CHUNK = 65_536  # characters

# RFC 7518 sections 4.8 and 5.3. joserfc allows at most this many iterations; OWASP recommends at least 210 000
# (Password Storage Cheat Sheet).
ALGORITHM, ENCRYPTION, ITERATIONS = "PBES2-HS512+A256KW", "A256GCM", 300_000
MAX_ENCRYPTED_BYTES = 67_108_864  # bytes: an export is encrypted in one piece, in memory


class TooLarge(Exception):
    """The export is larger than `MAX_ENCRYPTED_BYTES`."""


def export(session: Session, user_id: int, sources: Mapping[str, PersonalDataSource]) -> Iterator[bytes]:
    """Yield the export of a user in chunks.

    No database connection is in use between two chunks: a slow client must not occupy one.
    """
    data = {name: source.export(session, user_id) for name, source in sources.items()}
    document = {"exported_at": utc_now(), "format_version": FORMAT_VERSION, "data": data}
    for chunk in _chunks(_write(document)):
        session.rollback()
        yield chunk.encode()


def encrypt(chunks: Iterable[bytes], passphrase: str) -> str:
    """Encrypt the chunks with a passphrase to a JWE in compact serialisation (RFC 7516); raises `TooLarge`."""
    plaintext = bytearray()
    for chunk in chunks:
        plaintext += chunk
        if len(plaintext) > MAX_ENCRYPTED_BYTES:
            raise TooLarge
    header = {"alg": ALGORITHM, "enc": ENCRYPTION, "p2c": ITERATIONS, "cty": "json"}
    raw = passphrase.encode()
    # Not OctKey.import_key: it warns about short keys, and about text that looks like a PEM or SSH key.
    key = OctKey(raw, raw)
    return jwe.encrypt_compact(header, bytes(plaintext), key, algorithms=[ALGORITHM, ENCRYPTION])


def _write(value: Any) -> Iterator[str]:
    match value:
        case Mapping():
            yield from _between("{}", (_member(str(name), item) for name, item in value.items()))
        case Iterator():
            yield from _between("[]", ([_json(item)] for item in value))
        case _:
            yield _json(value)


def _member(name: str, value: Any) -> Iterator[str]:
    yield f"{_json(name)}: "
    yield from _write(value)


def _between(brackets: str, items: Iterable[Iterable[str]]) -> Iterator[str]:
    yield brackets[0]
    for number, item in enumerate(items):
        yield ", " if number else ""
        yield from item
    yield brackets[1]


def _json(value: Any) -> str:
    return json.dumps(value, default=_serialize, ensure_ascii=False)


def _serialize(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"An export cannot contain a {type(value).__name__}: convert it to a JSON type.")


def _chunks(fragments: Iterable[str]) -> Iterator[str]:
    """Join fragments to chunks of at least `CHUNK` characters; only the last one may be shorter."""
    chunk: list[str] = []
    size = 0
    for fragment in fragments:
        chunk.append(fragment)
        size += len(fragment)
        if size >= CHUNK:
            yield "".join(chunk)
            chunk, size = [], 0
    yield "".join(chunk)
