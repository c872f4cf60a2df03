"""Sessions across several replicas, and e-mail through a real worker."""

from __future__ import annotations

import re
import secrets
from typing import Any

import pytest

from tests.accounts.factory import PASSWORD
from tests.running.accounts import ANN, LOGIN, ME, REGISTER
from tests.running.conftest import WORKER, StartWeb, StartWorker, Web
from tests.servers import RedisServer
from tests.servers.smtp import start_smtp

pytestmark = pytest.mark.running

NEW = "another horse, another staple"


def login(web: Web, password: str = PASSWORD) -> dict[str, Any]:
    pair: dict[str, Any] = web.post(LOGIN, {**ANN, "password": password}).json()
    return pair


def auth_headers(pair: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


@pytest.mark.req("A2")
def test_all_replicas_reject_ended_session_even_without_redis(start_web: StartWeb, own_redis: RedisServer) -> None:
    first, second = start_web(redis_url=own_redis.url), start_web(redis_url=own_redis.url)
    first.post(REGISTER, ANN)
    ended, active = login(first), login(first)
    assert second.get(ME, headers=auth_headers(ended)).status_code == 200

    second.post("/api/v1/auth/logout", {}, headers=auth_headers(ended))
    with_redis = [web.get(ME, headers=auth_headers(ended)).status_code for web in (first, second)]
    own_redis.kill()
    without_redis = [web.get(ME, headers=auth_headers(ended)).status_code for web in (first, second)]
    other_session = [web.get(ME, headers=auth_headers(active)).status_code for web in (first, second)]

    assert with_redis == without_redis == [401, 401]
    assert other_session == [200, 200]


@pytest.mark.req("A2")
def test_rotation_of_signing_key_keeps_sessions_valid(start_web: StartWeb) -> None:
    old_key, new_key = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
    # Step 1: all replicas accept the new key.
    before = start_web(JWT_SECRET_KEY=old_key, JWT_SECRET_KEY_FALLBACKS=new_key)
    after = start_web(JWT_SECRET_KEY=new_key, JWT_SECRET_KEY_FALLBACKS=old_key)
    before.post(REGISTER, ANN)
    old, new = login(before), login(after)

    statuses = [web.get(ME, headers=auth_headers(pair)).status_code for web in (before, after) for pair in (old, new)]
    refreshed = after.post("/api/v1/auth/refresh", {"refresh_token": old["refresh_token"]})

    assert statuses == [200] * 4
    assert refreshed.status_code == 200


@pytest.mark.req("A2")
def test_password_reset_retries_after_temporary_mail_error(start_web: StartWeb, start_worker: StartWorker) -> None:
    with start_smtp() as mailbox:
        mailbox.refusals = 1
        web = start_web(**mailbox.environment)
        worker = start_worker(WORKER, **mailbox.environment)
        web.post(REGISTER, ANN)
        before = login(web)

        request = web.post("/api/v1/auth/forgot-password", {"email": ANN["email"]})
        match = re.search(r"reset-password#token=(\S+)", mailbox.wait().get_content())
        assert match, worker.output()
        reset = web.post("/api/v1/auth/reset-password", {"token": match[1], "new_password": NEW})

        assert (request.status_code, reset.status_code) == (202, 204)
        assert mailbox.refusals == 0
        assert web.get(ME, headers=auth_headers(before)).status_code == 401
        assert "access_token" in login(web, NEW)
        assert match[1] not in worker.output() + web.process.output()
        assert ANN["email"] not in worker.output()
