"""A file, requests with an idempotency key, and real processes."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile
from tests.data_files.factory import make_file
from tests.idempotency.repetitions import post_with_key
from tests.running.conftest import redis, start_web, start_worker

__all__ = [
    "file",
    "post_with_key",
    "redis",
    "start_web",
    "start_worker",
]


@pytest.fixture
def file(app: Flask, session: Session, user: User) -> DataFile:
    return make_file(app, session, user)
