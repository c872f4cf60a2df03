"""Pages that explain the types of problems: HTML for browsers, JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Flask, Response, current_app, jsonify
from markupsafe import Markup, escape

from app.platform.api.rate_limits import rate_limit
from app.platform.security.access import public
from app.platform.telemetry.objectives import no_objective
from app.platform.web.problem_types import PATH, ProblemType, problem_types_of
from app.platform.web.problems import Problem
from app.platform.web.request_state import current_request

JSON, HTML = "application/json", "text/html"
DOCUMENT = Markup(
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title></head>\n'
    "<body>\n<h1>{title}</h1>\n{content}\n</body>\n</html>\n"
)
EXPLANATION = Markup(
    "<p>Status {status}. {meaning}</p>\n<p>{action}</p>\n<p><a href='{path}'>All problem types</a></p>"
)
ITEM = Markup("<li><a href='{uri}'>{name}</a> ({status}): {meaning}</li>\n")


def init_app(app: Flask) -> None:
    """Serve the pages."""
    app.add_url_rule(PATH, "problem_types", problem_types)
    app.add_url_rule(f"{PATH}/<name>", "problem_type", problem_type)


@public("documentation")
@rate_limit("RATELIMIT_DEFAULT")
@no_objective("read by developers of clients")
def problem_types() -> Response:
    """List every type of problem."""
    types = sorted(problem_types_of(current_app).values(), key=lambda kind: (kind.status, kind.name))
    items = Markup().join(ITEM.format(uri=kind.uri, **asdict(kind)) for kind in types)
    return _negotiated(
        {"items": [_as_json(kind) for kind in types]}, "Problem types", Markup("<ul>\n{}</ul>").format(items)
    )


@public("documentation")
@rate_limit("RATELIMIT_DEFAULT")
@no_objective("read by developers of clients")
def problem_type(name: str) -> Response:
    """Explain a type of problem: what it means, and what the caller can do."""
    kind = problem_types_of(current_app).get(name)
    if kind is None:
        raise Problem(404, f"No problem type has this name. {PATH} lists all of them.")
    return _negotiated(_as_json(kind), kind.name, EXPLANATION.format(path=PATH, **asdict(kind)))


def _as_json(kind: ProblemType) -> dict[str, Any]:
    return {"type": kind.uri, **asdict(kind)}


def _negotiated(content: dict[str, Any], title: str, html: Markup) -> Response:
    """Return HTML to callers that prefer it, like browsers, and JSON to others."""
    response = jsonify(content)
    if current_request().accept_mimetypes.best_match((JSON, HTML)) == HTML:
        response = Response(DOCUMENT.format(title=escape(title), content=html), mimetype=HTML)
    response.vary.add("Accept")
    return response
