"""The header `Idempotency-Key`: a request that is repeated with its key has one effect, and the same answer.

Follows draft-ietf-httpapi-idempotency-key-header. The answer is stored in the transaction of the effect, so both exist
or neither, also if the process is killed. A feature registers the store of the answers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast

import sqlalchemy as sa
from flask import Flask, Request, Response, current_app
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.platform.components import platform_of
from app.platform.database import errors
from app.platform.database.base import autocommit_connection, db
from app.platform.database.deferred_commit import deferred_commit
from app.platform.security.access import current_caller
from app.platform.web.problem_types import (
    IDEMPOTENCY_ANSWER_UNREADABLE,
    IDEMPOTENCY_CONFLICT,
    IDEMPOTENCY_KEY_MALFORMED,
    IDEMPOTENCY_KEY_REUSED,
)
from app.platform.web.problems import Problem, raises
from app.platform.web.request_state import current_request
from app.platform.web.route_policy import View, policy_of

FIELD = "HTTP_IDEMPOTENCY_KEY"  # the header in the WSGI environment
REPLAYED = "Idempotency-Replayed"
MAX_LENGTH = 255
KEY = re.compile("[!-~]+")
RETRY_AFTER_SECONDS = 1
OWN_HEADERS = ("Content-Length",)  # computed again
PROBLEM_TYPES = (
    IDEMPOTENCY_ANSWER_UNREADABLE,
    IDEMPOTENCY_CONFLICT,
    IDEMPOTENCY_KEY_MALFORMED,
    IDEMPOTENCY_KEY_REUSED,
)


@dataclass(frozen=True)
class Answer:
    """The stored answer of a request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True)
class StoredAnswer:
    """The fingerprint of the request that a key was used for, and its answer; None if that cannot be decrypted."""

    fingerprint: str
    answer: Answer | None


@dataclass(frozen=True)
class KeyedRequest:
    """A request with a key: the user, a hash of the key, and a hash of the method, the path and the body."""

    user_id: int
    key_hash: str
    fingerprint: str


@dataclass(frozen=True)
class IdempotencyStore:
    """Where the answers are. `save` raises `IntegrityError` if the user's key has an answer."""

    find: Callable[[sa.Connection, KeyedRequest], StoredAnswer | None]
    save: Callable[[Session, KeyedRequest, Answer], None]


def register_store(app: Flask, store: IdempotencyStore) -> None:
    """Register the store of the answers."""
    platform_of(app).add(store)


def idempotent(view: View) -> View:
    """Accept an idempotency key: put it below `arguments`, which checks the body first, and above `response`.

    With a key, the view and the stored answer are one transaction: `commit` only flushes, and an error undoes all. What
    needs the committed rows, such as sending a task, goes through `after_commit`.
    """
    inner = getattr(view, "_apidoc", {})
    if "response" not in inner or "arguments" in inner:
        raise TypeError(f"{view}: put @idempotent above @blueprint.response and below @blueprint.arguments")
    raises(*PROBLEM_TYPES)(view)
    policy_of(view).accepts_idempotency_key = True

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        request = current_request()
        key = request.environ.get(FIELD)
        if key is None:
            return view(*args, **kwargs)
        return _answer_once(_keyed_request(request, key), lambda: cast(Response, view(*args, **kwargs)))

    return cast(View, wrapper)


def no_idempotency_key(reason: str) -> Callable[[View], View]:
    """Declare that a route that creates something accepts no idempotency key, for this reason."""

    def decorate(view: View) -> View:
        policy_of(view).no_idempotency_key_reason = reason
        return view

    return decorate


def _answer_once(request: KeyedRequest, respond: Callable[[], Response]) -> Response:
    store = platform_of(current_app).get(IdempotencyStore)
    with autocommit_connection() as connection:
        stored = store.find(connection, request)
    if stored:
        return _replayed(request, stored)
    session = db.session()
    with deferred_commit(session):
        response = respond()
        try:
            store.save(session, request, _answer_of(response))
        except IntegrityError as error:
            if errors.classify(error) is errors.ROW_DELETED:
                raise
            message = "Another request with this idempotency key was processed at the same time."
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            raise Problem(IDEMPOTENCY_CONFLICT, message, headers=headers) from None
    return response


def _keyed_request(request: Request, key: str) -> KeyedRequest:
    if len(key) > MAX_LENGTH or not KEY.fullmatch(key):
        message = f"The header Idempotency-Key must have from 1 to {MAX_LENGTH} characters of visible ASCII."
        raise Problem(IDEMPOTENCY_KEY_MALFORMED, message)
    return KeyedRequest(current_caller().user_id, hashlib.sha256(key.encode()).hexdigest(), _fingerprint(request))


def _fingerprint(request: Request) -> str:
    """Return a hash of the method, the path and the body; of a form, of its parsed parts."""
    digest = hashlib.sha256()
    _update(digest, request.method.encode(), request.path.encode())
    if request.mimetype != "multipart/form-data":
        _update(digest, request.get_data())
        return digest.hexdigest()
    for name, value in sorted(request.form.items(multi=True)):
        _update(digest, name.encode(), value.encode())
    for name, file in sorted(request.files.items(multi=True), key=lambda item: item[0]):
        file.stream.seek(0)
        content = hashlib.file_digest(cast(Any, file.stream), "sha256").digest()
        file.stream.seek(0)
        _update(digest, name.encode(), (file.filename or "").encode(), content)
    return digest.hexdigest()


def _update(digest: Any, *parts: bytes) -> None:
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)


def _answer_of(response: Response) -> Answer:
    headers = tuple((name, value) for name, value in response.headers if name not in OWN_HEADERS)
    return Answer(response.status_code, headers, response.get_data(as_text=True))


def _replayed(request: KeyedRequest, stored: StoredAnswer) -> Response:
    if stored.fingerprint != request.fingerprint:
        message = "This idempotency key was used for another request: send a new key with a new request."
        raise Problem(IDEMPOTENCY_KEY_REUSED, message)
    if stored.answer is None:
        message = "The request was processed, and its answer cannot be read. Check its effect; use a new key next."
        raise Problem(IDEMPOTENCY_ANSWER_UNREADABLE, message)
    response = Response(stored.answer.body, stored.answer.status, stored.answer.headers)
    response.headers[REPLAYED] = "true"
    return response
