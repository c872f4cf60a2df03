"""What the service holds about a person, as JSON, written as it is read; and how it is encrypted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from joserfc import jwe
from joserfc.jwk import OctKey
from sqlalchemy.orm import Session

from app.database import now
from app.personal_data import Holding

FORMAT_VERSION = 1
CHUNK = 65_536  # characters

# RFC 7518 sections 4.8 and 5.3. The most rounds that joserfc does; OWASP asks for 210 000 (Password Storage).
ALGORITHM, ENCRYPTION, ROUNDS = "PBES2-HS512+A256KW", "A256GCM", 300_000
MOST_SEALED = 67_108_864  # bytes: an export is encrypted in one piece, in memory


class TooLarge(Exception):
    """The export is larger than what can be encrypted in one piece."""


def export(session: Session, user_id: int, holdings: Mapping[str, Holding]) -> Iterator[bytes]:
    """A user's export in pieces; between two of them, no connection to the database is held for a slow reader."""
    data = {name: holding.tell(session, user_id) for name, holding in holdings.items()}
    document = {"exported_at": now(), "format_version": FORMAT_VERSION, "data": data}
    for chunk in _chunks(_write(document)):
        session.rollback()
        yield chunk.encode()


def seal(chunks: Iterable[bytes], passphrase: str) -> str:
    """A JWE in compact serialisation (RFC 7516) that the passphrase opens; raises `TooLarge`."""
    plain = bytearray()
    for chunk in chunks:
        plain += chunk
        if len(plain) > MOST_SEALED:
            raise TooLarge
    header = {"alg": ALGORITHM, "enc": ENCRYPTION, "p2c": ROUNDS, "cty": "json"}
    raw = passphrase.encode()
    key = OctKey(
        raw, raw
    )  # not import_key, which measures random keys, and mistakes some texts for keys of other kinds
    return jwe.encrypt_compact(header, bytes(plain), key, algorithms=[ALGORITHM, ENCRYPTION])


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
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is nothing that JSON knows")


def _chunks(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces, put together to chunks worth sending."""
    chunk: list[str] = []
    size = 0
    for piece in pieces:
        chunk.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield "".join(chunk)
            chunk, size = [], 0
    yield "".join(chunk)
