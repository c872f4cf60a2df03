"""Routes of files and of the tests on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response, current_app, url_for
from werkzeug.datastructures import FileStorage

from app.data_files import runs, service
from app.data_files.content import CSV, JSON, JSON_LINES, UnsupportedContent
from app.data_files.downloads import file_response, reject_other_file
from app.data_files.models import DataFile, TestRun
from app.data_files.problem_types import (
    FILE_TOO_LARGE,
    STORAGE_QUOTA_REACHED,
    TOO_MANY_UNFINISHED_TESTS,
    UNSUPPORTED_FILE,
)
from app.data_files.schemas import File, FilePage, NewFile, NewTest, Test, TestPage
from app.data_files.settings import DataFilesSettings
from app.data_files.tasks import run_test
from app.data_files.uploads import UploadBlueprint, quota_exceeded
from app.platform.api.concurrency import concurrency_limit
from app.platform.api.conditional import checks_if_match, etagged, own_etag, require_match
from app.platform.api.idempotency import idempotent
from app.platform.api.pagination import PageQuery, page
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.database.deferred_commit import after_commit
from app.platform.operations.storage_owner import claim_once
from app.platform.security.access import account_deleted, current_caller, login_or_api_key
from app.platform.settings.declarations import settings_of
from app.platform.storage import storage_of
from app.platform.telemetry.objectives import CREATE, LIST, READ, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import RETRY_AFTER_SECONDS, Problem, raises
from app.platform.web.route_policy import Objective

FILE = File()

START_TEST = Objective(0.5)
TEST_STATUS = Objective(0.2)

blueprint = UploadBlueprint("data_files", __name__, description="Files, and tests of their content.")

LOCATION = {"Location": {"description": "The path of the created object.", "schema": {"type": "string"}}}
# An example of each media type that uploads and downloads can have.
EXAMPLES = {
    CSV: "name,born\nAda,1815-12-10\n",
    JSON: [{"name": "Ada", "born": "1815-12-10"}],
    JSON_LINES: '{"name": "Ada", "born": "1815-12-10"}\n',
}
FORM = {"content": {"multipart/form-data": {"encoding": {"file": {"contentType": ", ".join(EXAMPLES)}}}}}


def file_content(status: int, description: str) -> Callable[[Any], Any]:
    """Document a response with the content of a file, for each media type."""

    def decorate(view: Any) -> Any:
        for media_type, example in EXAMPLES.items():
            view = blueprint.alt_response(
                status, schema={}, content_type=media_type, example=example, description=description, success=True
            )(view)
        return view

    return decorate


@blueprint.post("/data-files")
@rate_limit("RATELIMIT_CREATE")
@concurrency_limit("CONCURRENCY_UPLOADS")
@objective(CREATE)
@login_or_api_key("files:write")
@blueprint.arguments(NewFile(), location="files")
@idempotent
@blueprint.response(201, File(), headers=LOCATION)
@blueprint.doc(requestBody=FORM)
@raises(UNSUPPORTED_FILE, FILE_TOO_LARGE, STORAGE_QUOTA_REACHED)
def add(form: dict[str, FileStorage]) -> tuple[DataFile, dict[str, str]]:
    """Store a file. Its content decides the media type; a file that is neither CSV nor JSON is rejected."""
    name, stream = form["file"].filename or "", form["file"].stream
    settings = settings_of(current_app, DataFilesSettings)
    claim_once(db.session())
    try:
        file = service.add(
            db.session(),
            storage_of(current_app),
            current_caller().user_id,
            name=name,
            stream=stream,
            quota=settings.MAX_STORAGE_BYTES_PER_USER,
            origin=request_origin(),
        )
    except UnsupportedContent as error:
        raise Problem(UNSUPPORTED_FILE, str(error), errors={"file": [str(error)]}) from None
    except service.QuotaExceeded as error:
        raise quota_exceeded(error.left, settings.MAX_STORAGE_BYTES_PER_USER) from None
    except service.OwnerDeleted:
        raise account_deleted() from None
    return file, {"Location": url_for(".file", file_id=file.id)}


@blueprint.get("/data-files")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@login_or_api_key("files:read")
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, FilePage())
def files(query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's files, newest first."""
    rows = service.list_files(db.session(), current_caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "created_at", "id")


@blueprint.get("/data-files/<int:file_id>")
@rate_limit("RATELIMIT_READ")
@objective(READ)
@login_or_api_key("files:read")
@etagged
@blueprint.response(200, FILE)
def file(file_id: int) -> DataFile:
    """Return the name, type, size and checksum of a file."""
    return _get_owned_file(file_id)


@blueprint.delete("/data-files/<int:file_id>")
@rate_limit("RATELIMIT_DELETE")
@objective(UPDATE)
@login_or_api_key("files:write")
@blueprint.response(204)
@checks_if_match
def delete(file_id: int) -> None:
    """Delete a file but not the history of its tests."""
    session, user_id, check = db.session(), current_caller().user_id, partial(require_match, FILE)
    if not service.delete(session, storage_of(current_app), user_id, file_id, request_origin(), check):
        raise _not_found("file")


@blueprint.get("/data-files/<int:file_id>/content")
@rate_limit("RATELIMIT_READ")
@objective(READ)
@login_or_api_key("files:read")
@file_content(200, "The file.")
@file_content(206, "The requested range.")
@blueprint.alt_response(304, description="The content is unchanged: its ETag is in `If-None-Match`.")
@blueprint.alt_response(416, description="The file has no such range.")
@own_etag
@checks_if_match
def content(file_id: int) -> Response:
    """Return the content of a file, or the requested range of it; the ETag is the SHA-256 checksum."""
    data_file = _get_owned_file(file_id)
    reject_other_file(data_file)
    try:
        return file_response(data_file, storage_of(current_app).open(data_file.storage_key))
    except FileNotFoundError:
        raise _not_found("file") from None


@blueprint.post("/data-files/<int:file_id>/tests")
@rate_limit("RATELIMIT_CREATE")
@objective(START_TEST)
@login_or_api_key("files:write")
@blueprint.arguments(NewTest(), required=False)
@idempotent
@blueprint.response(202, Test(), headers=LOCATION)
@raises(TOO_MANY_UNFINISHED_TESTS)
def begin_test(_: dict[str, Any], file_id: int) -> tuple[TestRun, dict[str, str]]:
    """Start a test of a file: its number of rows, its columns with their types and missing values, its problems."""
    maximum = settings_of(current_app, DataFilesSettings).MAX_UNFINISHED_TESTS_PER_USER
    try:
        run = runs.create(db.session(), _get_owned_file(file_id), request_origin(), maximum)
    except runs.TooManyUnfinished:
        message = (
            f"{maximum} of your tests have not finished, and a user can have no more: wait until one has finished."
        )
        raise Problem(TOO_MANY_UNFINISHED_TESTS, message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}) from None
    after_commit(db.session(), lambda: run_test.try_delay(run.id))
    db.session().refresh(run)  # without a queue, the task is already finished
    return run, {"Location": url_for(".test", run_id=run.id)}


@blueprint.get("/tests")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@login_or_api_key("files:read")
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, TestPage())
def tests(query: dict[str, Any]) -> dict[str, Any]:
    """List the tests of the caller's files, newest first."""
    rows = runs.history(db.session(), current_caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "created_at", "id")


@blueprint.get("/tests/<int:run_id>")
@rate_limit("RATELIMIT_READ")
@objective(TEST_STATUS)
@login_or_api_key("files:read")
@etagged
@blueprint.response(200, Test())
def test(run_id: int) -> TestRun:
    """Return a test of a file, with its status and report."""
    run = runs.find(db.session(), current_caller().user_id, run_id)
    if run is None:
        raise _not_found("test")
    return run


def _get_owned_file(file_id: int) -> DataFile:
    """Return the caller's file with this id; raises a 404 problem if the caller has no such file."""
    data_file = service.find(db.session(), current_caller().user_id, file_id)
    if data_file is None:
        raise _not_found("file")
    return data_file


def _not_found(resource: str) -> Problem:
    return Problem(404, f"This {resource} does not exist.")
