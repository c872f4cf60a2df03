"""Routes of files and their tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, current_app, url_for
from werkzeug.datastructures import FileStorage

from app.audit.origin import origin
from app.data_files import downloads, runs, service
from app.data_files.content import CSV, JSON, JSON_LINES, UnknownContent
from app.data_files.forms import Blueprint
from app.data_files.models import DataFile, TestRun
from app.data_files.schemas import File, FilePage, NewFile, NewTest, Test, TestPage
from app.data_files.tasks import run_test
from app.database import db
from app.errors import Problem
from app.limits import limit
from app.observability.slo.objectives import CHANGE, CREATE, LIST, READ, START, STATUS, objective
from app.pagination import PageQuery, page
from app.security.access import caller, signed_in_or_key, unauthorized
from app.storage import storage_of

blueprint = Blueprint("data_files", __name__, description="Files, and tests of what is in them.")

LOCATION = {"Location": {"description": "Where to ask for it.", "schema": {"type": "string"}}}
# What is taken in and given out, each with an example.
TYPES = {
    CSV: "name,born\nAda,1815-12-10\n",
    JSON: [{"name": "Ada", "born": "1815-12-10"}],
    JSON_LINES: '{"name": "Ada", "born": "1815-12-10"}\n',
}
FORM = {"content": {"multipart/form-data": {"encoding": {"file": {"contentType": ", ".join(TYPES)}}}}}


def of_any_type(status: int, description: str) -> Callable[[Any], Any]:
    """Document an answer that is a file, whatever type it has."""

    def mark(view: Any) -> Any:
        for media_type, example in TYPES.items():
            view = blueprint.alt_response(
                status, schema={}, content_type=media_type, example=example, description=description, success=True
            )(view)
        return view

    return mark


@blueprint.post("/data-files")
@limit("RATELIMIT_CREATE")
@objective(CREATE)
@signed_in_or_key("files:write")
@blueprint.arguments(NewFile(), location="files")
@blueprint.response(201, File(), headers=LOCATION)
@blueprint.doc(requestBody=FORM)
def add(form: dict[str, FileStorage]) -> tuple[DataFile, dict[str, str]]:
    """Keep a file. Its type is told by its content; what is neither CSV nor JSON is not taken in."""
    name, stream = form["file"].filename or "", form["file"].stream
    try:
        file = service.add(
            db.session(), storage_of(current_app), caller().user_id, name=name, stream=stream, origin=origin()
        )
    except UnknownContent as error:
        raise Problem(415, str(error), errors={"file": [str(error)]}) from None
    except service.OwnerGone:
        raise unauthorized("This account is gone. Sign in with another.") from None
    return file, {"Location": url_for(".file", file_id=file.id)}


@blueprint.get("/data-files")
@limit("RATELIMIT_LIST")
@objective(LIST)
@signed_in_or_key("files:read")
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, FilePage())
def files(query: dict[str, Any]) -> dict[str, Any]:
    """One's own files, newest first."""
    rows = service.files(db.session(), caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "created_at", "id")


@blueprint.get("/data-files/<int:file_id>")
@limit("RATELIMIT_READ")
@objective(READ)
@signed_in_or_key("files:read")
@blueprint.response(200, File())
def file(file_id: int) -> DataFile:
    """What is known of a file."""
    return _own(file_id)


@blueprint.delete("/data-files/<int:file_id>")
@limit("RATELIMIT_DELETE")
@objective(CHANGE)
@signed_in_or_key("files:write")
@blueprint.response(204)
def delete(file_id: int) -> None:
    """Delete a file; the history of its tests stays."""
    if not service.delete(db.session(), storage_of(current_app), caller().user_id, file_id, origin()):
        raise _not_found("file")


@blueprint.get("/data-files/<int:file_id>/content")
@limit("RATELIMIT_READ")
@objective(READ)
@signed_in_or_key("files:read")
@of_any_type(200, "The file.")
@of_any_type(206, "The range asked for.")
@blueprint.alt_response(304, description="The caller has it already, as `If-None-Match` says.")
@blueprint.alt_response(416, description="The file has no such range.")
def content(file_id: int) -> Response:
    """A file's content, or the range of it that is asked for; the ETag is the checksum."""
    found = _own(file_id)
    try:
        return downloads.send(found, storage_of(current_app).open(found.storage_key))
    except FileNotFoundError:
        raise _not_found("file") from None


@blueprint.post("/data-files/<int:file_id>/tests")
@limit("RATELIMIT_CREATE")
@objective(START)
@signed_in_or_key("files:write")
@blueprint.arguments(NewTest(), required=False)
@blueprint.response(202, Test(), headers=LOCATION)
def begin_test(_: dict[str, Any], file_id: int) -> tuple[TestRun, dict[str, str]]:
    """Have a file tested: how many rows, which columns, of which types, what is missing, what is wrong."""
    run = runs.begin(db.session(), _own(file_id), origin())
    run_test.send_if_possible(run.id)
    db.session().refresh(run)  # where there is no queue, it is done by now
    return run, {"Location": url_for(".test", run_id=run.id)}


@blueprint.get("/tests")
@limit("RATELIMIT_LIST")
@objective(LIST)
@signed_in_or_key("files:read")
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, TestPage())
def tests(query: dict[str, Any]) -> dict[str, Any]:
    """The tests of one's own files, newest first."""
    rows = runs.history(db.session(), caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "created_at", "id")


@blueprint.get("/tests/<int:run_id>")
@limit("RATELIMIT_READ")
@objective(STATUS)
@signed_in_or_key("files:read")
@blueprint.response(200, Test())
def test(run_id: int) -> TestRun:
    """A test of a file."""
    run = runs.find(db.session(), caller().user_id, run_id)
    if run is None:
        raise _not_found("test")
    return run


def _own(file_id: int) -> DataFile:
    found = service.find(db.session(), caller().user_id, file_id)
    if found is None:
        raise _not_found("file")
    return found


def _not_found(thing: str) -> Problem:
    return Problem(404, f"There is no such {thing}.")
