"""The service, which kills its process once while it processes a request: `gunicorn tests.locations.crash_app:app`.

`CRASH` selects when: `before` or `after` the commit. The process creates `CRASH_FILE` before it ends.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from flask import Response, request

from app.platform.api.idempotency import IdempotencyStore
from app.platform.components import platform_of
from app.platform.tasks.celery import get_flask_app

app = get_flask_app()
store = platform_of(app).get(IdempotencyStore)


def crash(when: str) -> None:
    """End this process at once, if no process has crashed yet."""
    file = Path(os.environ["CRASH_FILE"])
    if os.environ["CRASH"] == when and not file.exists():
        file.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def save(*arguments: Any) -> None:
    store.save(*arguments)
    crash("before")


@app.after_request
def crash_after_commit(response: Response) -> Response:
    if "Idempotency-Key" in request.headers:
        crash("after")
    return response


platform_of(app).add(IdempotencyStore(store.find, save))
