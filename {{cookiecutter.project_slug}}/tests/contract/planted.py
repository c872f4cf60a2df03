"""The service with a fault in each of some routes, for the fuzzer to find: `gunicorn tests.contract.planted:make()`."""

from __future__ import annotations

from flask import Flask, Response
from marshmallow import fields, validate

from app import create_app
from app.api import Blueprint, register
from app.fields import Input, Whole
from app.limits import unlimited
from app.locations.schemas import Accepted
from app.security.access import public

# What the fuzzer calls what is wrong with each of them (`st explain ST101`).
FAULTS = {
    "crash": "ST101",
    "undocumented_status": "ST103",
    "undocumented_media_type": "ST105",
    "missing_header": "ST107",
    "wrong_schema": "ST108",
    "accepts_too_much": "ST201",
    "refuses_too_much": "ST202",
    "open_to_all": "ST401",
}

blueprint = Blueprint("planted", __name__, description="Faults.")
exempt = unlimited("a fault")
anybody = public("a fault")


class Laxer(Input):
    """A number that the specification bounds, and the service does not."""

    number = fields.Integer(required=True, metadata={"minimum": 1, "maximum": 10})


class Stricter(Input):
    """A number that the service bounds, and the specification does not."""

    number = Whole(required=True, validate=lambda number: validate.Range(0, 10)(number) is not None)


@blueprint.get("/planted/crash")
@exempt
@anybody
@blueprint.response(200, Accepted())
def crash() -> dict[str, int]:
    """Fail."""
    raise ZeroDivisionError


@blueprint.get("/planted/undocumented-status")
@exempt
@anybody
@blueprint.response(200, Accepted())
def undocumented_status() -> tuple[dict[str, int], int]:
    """Answer 418."""
    return {"accepted": 1}, 418


@blueprint.get("/planted/undocumented-media-type")
@exempt
@anybody
@blueprint.response(200, Accepted())
def undocumented_media_type() -> Response:
    """Answer in words."""
    return Response("All of them.", mimetype="text/plain")


@blueprint.get("/planted/missing-header")
@exempt
@anybody
@blueprint.response(200, Accepted(), headers={"ETag": {"required": True, "schema": {"type": "string"}}})
def missing_header() -> dict[str, int]:
    """Leave out what was promised."""
    return {"accepted": 1}


@blueprint.get("/planted/wrong-schema")
@exempt
@anybody
@blueprint.response(200, Accepted())
def wrong_schema() -> Response:
    """Answer with a text for a number."""
    return Response('{"accepted": "all of them"}', mimetype="application/json")


@blueprint.post("/planted/accepts-too-much")
@exempt
@anybody
@blueprint.arguments(Laxer())
@blueprint.response(200, Accepted())
def accepts_too_much(given: dict[str, int]) -> dict[str, int]:
    """Take what the specification forbids."""
    return {"accepted": given["number"]}


@blueprint.post("/planted/refuses-too-much")
@exempt
@anybody
@blueprint.arguments(Stricter())
@blueprint.response(200, Accepted())
def refuses_too_much(given: dict[str, int]) -> dict[str, int]:
    """Refuse what the specification allows."""
    return {"accepted": given["number"]}


@blueprint.get("/planted/open-to-all")
@exempt
@public("")  # without a reason, the specification takes it for closed
@blueprint.response(200, Accepted())
def open_to_all() -> dict[str, int]:
    """Let anybody in."""
    return {"accepted": 1}


def make() -> Flask:
    """The service, and these routes."""
    made = create_app()
    register(made, blueprint)
    return made
