"""Records the type of every problem that the tests provoke, whichever app answers."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, Response, request, request_finished

from app.platform.web.problem_types import possible_uris, problem_types_of
from app.platform.web.problems import MIME_TYPE
from app.platform.web.route_policy import policy_of


@dataclass(frozen=True)
class UndeclaredType:
    """A problem whose type neither its route nor the platform declares for its status."""

    route: str
    status: int
    uri: str

    def __str__(self) -> str:
        return (
            f"{self.route} answered {self.status} with the type {self.uri}: declare the ProblemType in problem_types.py"
            " of its feature, list it in the Feature, and put @raises(<type>) of app.platform.web.problems on the view"
        )


undeclared: list[UndeclaredType] = []


@request_finished.connect
def record(sender: Flask, response: Response, **_: object) -> None:
    """Record a problem whose type is not declared."""
    if response.mimetype != MIME_TYPE or (request.url_rule is None and request.routing_exception is None):
        return
    uri, status = response.get_json()["type"], response.status_code
    view = sender.view_functions.get(request.endpoint or "")
    declared = policy_of(view).problem_types if view else ()
    known = {problem_type.uri for problem_type in problem_types_of(sender).values()} | {"about:blank"}
    if uri not in known or uri not in possible_uris(status, declared):
        undeclared.append(UndeclaredType(f"{request.method} {request.url_rule or request.path}", status, uri))


def take_undeclared() -> list[str]:
    """Return and forget what was recorded since the last call."""
    found = [str(item) for item in undeclared]
    undeclared.clear()
    return found
