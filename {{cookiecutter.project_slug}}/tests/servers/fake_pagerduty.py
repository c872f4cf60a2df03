"""A server that implements the requests of PagerDuty's Events API v2 and of Slack's incoming webhooks."""

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
class FakePagerDuty:
    """The received PagerDuty events (`pages`) and attachments of Slack messages (`messages`), oldest first."""

    url: str = ""
    pages: list[Event] = field(default_factory=list)
    messages: list[Event] = field(default_factory=list)

    def page(self, name: str, action: str = "trigger", timeout: float = 120) -> Event:
        """Wait for the first page about an alert and return it."""
        return self._first(
            lambda: [p for p in self.pages if p["event_action"] == action and p["payload"]["class"] == name], timeout
        )

    def message(self, title: str, timeout: float = 120) -> Event:
        """Wait for the first message with this title and return it."""
        return self._first(lambda: [message for message in self.messages if message["title"] == title], timeout)

    def _first(self, find: Callable[[], list[Event]], timeout: float) -> Event:
        if not wait_until(lambda: bool(find()), timeout):
            raise TimeoutError(f"no such event in {timeout} s, only {self.pages} and {self.messages}")
        return find()[0]


def is_valid_event(event: Mapping[str, Any]) -> bool:
    """Return whether PagerDuty accepts an event (developer.pagerduty.com, Events API v2, "Send an Alert Event")."""
    payload = event["payload"]
    complete = (
        payload["summary"] and payload["source"] and payload["severity"] in {"critical", "error", "warning", "info"}
    )
    linked = all(link["href"] for link in event.get("links", []))
    return (
        event["routing_key"] == ROUTING_KEY and event["event_action"] in {"trigger", "resolve"} and complete and linked
    )


@contextmanager
def start_fake_pagerduty() -> Iterator[FakePagerDuty]:
    """Listen on a free port of 127.0.0.1."""
    fake_pagerduty = FakePagerDuty()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == SLACK:
                fake_pagerduty.messages.extend(event["attachments"])
                self._respond(200, b"ok")
            elif self.path == PAGERDUTY and is_valid_event(event):
                fake_pagerduty.pages.append(event)
                self._respond(202, b'{"status": "success", "message": "Event processed"}')
            else:
                self._respond(400, b'{"status": "invalid event", "message": "Event object is invalid"}')

        def _respond(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake_pagerduty.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield fake_pagerduty
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
