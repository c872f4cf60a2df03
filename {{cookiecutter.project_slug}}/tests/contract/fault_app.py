"""The service plus routes with one fault each, for the fuzzer to find: `gunicorn tests.contract.fault_app:make()`."""

from __future__ import annotations

from flask import Flask, Response
from marshmallow import Schema, fields, validate

from app import create_app
from app.platform.api.blueprints import Blueprint, register_blueprint
from app.platform.api.fields import RequestSchema, StrictInteger
from app.platform.api.rate_limits import no_rate_limit
from app.platform.security.access import public

# The code of the check that must find each fault (`st explain ST101`).
FAULTS = {
    "crash": "ST101",
    "undocumented_status": "ST103",
    "undocumented_media_type": "ST105",
    "missing_header": "ST107",
    "wrong_schema": "ST108",
    "accepts_too_much": "ST201",
    "rejects_too_much": "ST202",
    "open_to_all": "ST401",
}

blueprint = Blueprint("faults", __name__, description="Faults.")
exempt = no_rate_limit("a fault")
everyone = public("a fault")


class Counted(Schema):
    """A count."""

    accepted = fields.Integer(required=True)


class UncheckedBounds(RequestSchema):
    """A number with bounds in the specification only."""

    number = fields.Integer(required=True, metadata={"minimum": 1, "maximum": 10})


class UndocumentedBounds(RequestSchema):
    """A number with bounds in the service only."""

    number = StrictInteger(required=True, validate=lambda number: validate.Range(0, 10)(number) is not None)


@blueprint.get("/faults/crash")
@exempt
@everyone
@blueprint.response(200, Counted())
def crash() -> dict[str, int]:
    """Fail."""
    raise ZeroDivisionError


@blueprint.get("/faults/undocumented-status")
@exempt
@everyone
@blueprint.response(200, Counted())
def undocumented_status() -> tuple[dict[str, int], int]:
    """Return 418."""
    return {"accepted": 1}, 418


@blueprint.get("/faults/undocumented-media-type")
@exempt
@everyone
@blueprint.response(200, Counted())
def undocumented_media_type() -> Response:
    """Return plain text."""
    return Response("All of them.", mimetype="text/plain")


@blueprint.get("/faults/missing-header")
@exempt
@everyone
@blueprint.response(200, Counted(), headers={"ETag": {"required": True, "schema": {"type": "string"}}})
def missing_header() -> dict[str, int]:
    """Omit a documented header."""
    return {"accepted": 1}


@blueprint.get("/faults/wrong-schema")
@exempt
@everyone
@blueprint.response(200, Counted())
def wrong_schema() -> Response:
    """Return a text instead of a number."""
    return Response('{"accepted": "all of them"}', mimetype="application/json")


@blueprint.post("/faults/accepts-too-much")
@exempt
@everyone
@blueprint.arguments(UncheckedBounds())
@blueprint.response(200, Counted())
def accepts_too_much(body: dict[str, int]) -> dict[str, int]:
    """Accept a value that the specification forbids."""
    return {"accepted": body["number"]}


@blueprint.post("/faults/rejects-too-much")
@exempt
@everyone
@blueprint.arguments(UndocumentedBounds())
@blueprint.response(200, Counted())
def rejects_too_much(body: dict[str, int]) -> dict[str, int]:
    """Reject a value that the specification allows."""
    return {"accepted": body["number"]}


@blueprint.get("/faults/open-to-all")
@exempt
@public("")  # without a reason, the specification documents it as protected
@blueprint.response(200, Counted())
def open_to_all() -> dict[str, int]:
    """Accept anonymous requests."""
    return {"accepted": 1}


def make() -> Flask:
    """Create the service with these routes."""
    app = create_app()
    register_blueprint(app, blueprint)
    return app
