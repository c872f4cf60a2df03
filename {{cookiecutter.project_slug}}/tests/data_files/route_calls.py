"""Calls of the routes of data files (see tests/route_calls.py)."""

from __future__ import annotations

import io

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from tests.data_files.factory import CSV, FILES, TESTS, make_file, make_run
from tests.route_calls import RouteCaller


def create_rows(app: Flask, session: Session, user: User) -> None:
    """Create a file of the user with a test run."""
    make_run(session, make_file(app, session, user))


def call_routes(caller: RouteCaller) -> None:
    """Call every route of data files."""
    user = caller.user()
    form = {"file": (io.BytesIO(CSV), "people.csv")}
    caller.call("GET", FILES, user)
    caller.call("POST", FILES, user, data=form, content_type="multipart/form-data")
    caller.call("GET", f"{FILES}/<int:file_id>", user)
    caller.call("GET", f"{FILES}/<int:file_id>/content", user)
    caller.call("POST", f"{FILES}/<int:file_id>/tests", user, json={})
    caller.call("GET", TESTS, user)
    caller.call("GET", f"{TESTS}/<int:run_id>", user)
    caller.call("DELETE", f"{FILES}/<int:file_id>", user)
