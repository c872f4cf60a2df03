"""Bounds on how many requests of one kind run at a time in this process; more are answered with 503 at once.

Such requests hold a thread for long: hashing a password, reading an upload, an expensive query. Without a bound, a few
of them would hold every thread. A request that `concurrency_limit` rejects costs neither Redis nor the database
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import BoundedSemaphore, Semaphore
from typing import Any

from flask import Flask, Response, current_app
from prometheus_client import Counter

from app.platform.components import Platform, platform_of
from app.platform.settings.declarations import concurrency_settings
from app.platform.web.problem_types import OVERLOADED
from app.platform.web.problems import Problem
from app.platform.web.request_state import current_request, request_state
from app.platform.web.route_policy import View, policy_of

RETRY_AFTER_SECONDS = 1

REFUSED = Counter(
    "concurrency_refused_total", "Requests refused because too many of their kind were running", ["limit"]
)


class ConcurrencyLimits(dict[str, Semaphore]):
    """The free slots of this process by CONCURRENCY_ setting."""


def concurrency_limit(setting: str) -> Callable[[View], View]:
    """Bound how many requests run at a time, over all routes with this CONCURRENCY_ setting."""

    def decorate(view: View) -> View:
        policy_of(view).concurrency = setting
        return view

    return decorate


@contextmanager
def concurrency_slot(setting: str) -> Iterator[None]:
    """Bound how many requests run the `with` block at a time; raises a 503 problem."""
    slot = _acquire(platform_of(current_app), setting)
    try:
        yield
    finally:
        slot.release()


def init_app(app: Flask) -> None:
    """Take a slot before a request and free it afterwards; call it before the rate limits, which need Redis."""
    slots = {name: BoundedSemaphore(value) for name, value in concurrency_settings(app).items()}
    platform_of(app).add(ConcurrencyLimits(slots))
    app.before_request(partial(_take_slot, app))
    app.after_request(_keep_slot_while_streaming)
    app.teardown_request(_free_slot)


def check_limits(app: Flask) -> None:
    """Raise `LookupError` for a limit that is no setting; call it after all registrations."""
    known = platform_of(app).get(ConcurrencyLimits)
    for endpoint, view in app.view_functions.items():
        if (name := policy_of(view).concurrency) and name not in known:
            raise LookupError(f"{endpoint}: {name} is no setting: declare it, or fix the name in @concurrency_limit.")


def _take_slot(app: Flask) -> None:
    request = current_request()
    if request.routing_exception is not None or request.method == "OPTIONS":
        return
    if setting := policy_of(app.view_functions[request.endpoint or ""]).concurrency:
        request_state().concurrency_slot = _acquire(platform_of(app), setting)


def _acquire(platform: Platform, setting: str) -> Semaphore:
    slot = platform.get(ConcurrencyLimits)[setting]
    if slot.acquire(blocking=False):
        return slot
    REFUSED.labels(setting.removeprefix("CONCURRENCY_").lower()).inc()
    message = f"Too many requests of this kind are running. Try again in {RETRY_AFTER_SECONDS} s."
    raise Problem(OVERLOADED, message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _keep_slot_while_streaming(response: Response) -> Response:
    """Free the slot when a streamed response has been sent, not when the view has returned."""
    state = request_state()
    if state.concurrency_slot and response.is_streamed:
        free = _release_once(state.concurrency_slot)
        state.concurrency_slot = None
        response.response = _followed_by(free, response.response)
        response.call_on_close(free)  # without it, a response whose content is not sent (HEAD) would keep the slot
    return response


def _release_once(slot: Semaphore) -> Callable[[], None]:
    slots = [slot]

    def release() -> None:
        if slots:
            slots.pop().release()

    return release


def _followed_by(action: Callable[[], None], parts: Iterable[Any]) -> Iterator[Any]:
    try:
        yield from parts
    finally:
        action()


def _free_slot(_error: BaseException | None) -> None:
    state = request_state()
    if state.concurrency_slot:
        state.concurrency_slot.release()
        state.concurrency_slot = None
