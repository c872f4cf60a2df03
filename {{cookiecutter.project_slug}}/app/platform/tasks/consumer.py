"""Celery's consumer, in the worker's main process, which keeps messages without a valid task as dead letters."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from numbers import Real
from typing import Any

from celery.worker import consumer
from kombu.transport.virtual.base import Message

from app.platform.tasks.dead_letters import ARGUMENTS, CONTENT, HEADERS, UNKNOWN_TASK, dead_letters_of

logger = logging.getLogger(__name__)

FORMAT = ("application/json", "utf-8")
# What the library raises for headers of an unexpected type. Every other error is none of the message.
DATA_ERRORS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


class Consumer(consumer.Consumer):
    """Checks a message before it becomes a task."""

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Message], None]:
        """Return the function that receives messages."""
        handle = super().create_task_handler(*arguments, **options)

        def receive(message: Message) -> None:
            if problem := self._problem(message):
                self._keep(message, problem)
                return
            try:
                handle(message)
            except DATA_ERRORS:
                if message.acknowledged:
                    raise
                self._keep(message, HEADERS)

        return receive

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Keep a message that cannot be decompressed or decoded."""
        del exc
        self._keep(message, CONTENT)

    def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:
        """Keep a message whose times are not valid."""
        del body, exc
        self._keep(message, HEADERS)

    def _problem(self, message: Message) -> str:
        name, headers = message.headers.get("task"), message.headers
        if (
            not isinstance(name, str)
            or not isinstance(headers.get("id"), str)
            or not _are_limits(headers.get("timelimit"))
        ):
            return HEADERS
        if name not in self.strategies:
            return UNKNOWN_TASK
        if (message.content_type, str(message.content_encoding).lower()) != FORMAT:
            return CONTENT
        try:
            payload = message.payload
        except Exception:  # noqa: BLE001 - the decoders of the library raise many classes
            return CONTENT
        return _payload_problem(payload, self.app.tasks[name])

    def _keep(self, message: Message, reason: str) -> None:
        """Keep a message and remove it from the queue; if that fails, the broker delivers it again later."""
        content = json.dumps(message.serializable(), default=str)
        queue = str(message.delivery_info.get("routing_key"))
        task = str(message.headers.get("task") or "")
        if dead_letters_of(self.app.flask_app).keep(reason, queue, content, task=task):
            message.reject_log_error(logger, self.connection_errors)


def _are_limits(limits: Any) -> bool:
    """Whether the time limits of a message are two numbers or missing."""
    match limits:
        case None | [None | Real(), None | Real()]:
            return True
        case _:
            return False


def _payload_problem(payload: Any, task: Any) -> str:
    """Return `ARGUMENTS` if the decoded body does not call the task as its signature says; empty if it does."""
    match payload:
        case [list(positional), dict(named), dict()]:
            check_arguments = getattr(task, "__header__", None)
            try:
                if check_arguments:
                    check_arguments(*positional, **named)
            except TypeError:
                return ARGUMENTS
            return ""
        case _:
            return ARGUMENTS
