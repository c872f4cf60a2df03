"""Somebody who is paged: a server that takes what PagerDuty and Slack take, and answers as they do."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .processes import wait_until

PAGERDUTY, SLACK = "/v2/enqueue", "/services/webhook"
ROUTING_KEY = "0123456789abcdef0123456789abcdef"  # PagerDuty's have 32 letters

Event = dict[str, Any]


@dataclass
class Pager:
    """The events of PagerDuty's Events API v2 and the attachments of Slack's messages that came in, oldest first."""

    url: str = ""
    pages: list[Event] = field(default_factory=list)
    messages: list[Event] = field(default_factory=list)

    def page(self, name: str, action: str = "trigger", timeout: float = 30) -> Event:
        """Return the first page about an alert, once it is there."""
        return self._first(
            lambda: [p for p in self.pages if p["event_action"] == action and p["payload"]["class"] == name], timeout
        )

    def message(self, title: str, timeout: float = 30) -> Event:
        """Return the first message with a title, once it is there."""
        return self._first(lambda: [message for message in self.messages if message["title"] == title], timeout)

    def _first(self, find: Callable[[], list[Event]], timeout: float) -> Event:
        if not wait_until(lambda: bool(find()), timeout):
            raise TimeoutError(f"nothing like that came in {timeout} s, only {self.pages} and {self.messages}")
        return find()[0]


def would_be_taken(event: Mapping[str, Any]) -> bool:
    """Say whether PagerDuty takes an event (developer.pagerduty.com, Events API v2, "Send an Alert Event")."""
    payload = event["payload"]
    complete = (
        payload["summary"] and payload["source"] and payload["severity"] in {"critical", "error", "warning", "info"}
    )
    linked = all(link["href"] for link in event.get("links", []))
    return (
        event["routing_key"] == ROUTING_KEY and event["event_action"] in {"trigger", "resolve"} and complete and linked
    )


@contextmanager
def start_pager() -> Iterator[Pager]:
    """Listen on a free port of 127.0.0.1."""
    pager = Pager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == SLACK:
                pager.messages.extend(event["attachments"])
                self._answer(200, b"ok")
            elif self.path == PAGERDUTY and would_be_taken(event):
                pager.pages.append(event)
                self._answer(202, b'{"status": "success", "message": "Event processed"}')
            else:
                self._answer(400, b'{"status": "invalid event", "message": "Event object is invalid"}')

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pager.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield pager
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
