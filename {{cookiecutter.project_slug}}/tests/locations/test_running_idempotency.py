"""A worker process that is killed while it processes a request: repeated with its key, the request has one effect."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.idempotency.repetitions import KEY
from tests.locations.conftest import LOCATIONS, POSITION
from tests.running.accounts import log_in
from tests.running.conftest import GUNICORN, StartWeb
from tests.servers import wait_until

pytestmark = [pytest.mark.running, pytest.mark.req("A9")]


@pytest.mark.parametrize(("crash", "replayed"), [("after", "true"), ("before", None)])
def test_request_of_killed_process_has_one_effect(
    start_web: StartWeb, tmp_path: Path, crash: str, replayed: str | None
) -> None:
    file = tmp_path / "crashed"
    web = start_web(
        [*GUNICORN, "tests.locations.crash_app:app"], CRASH=crash, CRASH_FILE=str(file), GUNICORN_WORKERS="2"
    )
    headers = log_in(web)
    before = set(web.process.children())

    with pytest.raises(requests.ConnectionError):
        web.post(LOCATIONS, POSITION, headers={**headers, "Idempotency-Key": KEY})
    assert wait_until(lambda: len(before - set(web.process.children())) == 1, 60)  # Gunicorn has noticed it
    answers = [web.post(LOCATIONS, POSITION, headers={**headers, "Idempotency-Key": KEY}) for _ in range(2)]

    assert file.exists()
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].headers.get("Idempotency-Replayed") == replayed
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert answers[0].json() == answers[1].json()
    assert [item["id"] for item in web.get(LOCATIONS, headers=headers).json()["items"]] == [answers[0].json()["id"]]
