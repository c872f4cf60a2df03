"""Sessions over several replicas, and mail through a real worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.accounts.factory import PASSWORD
from tests.running.conftest import StartWeb, Web
from tests.servers import RedisServer, RunningService
from tests.servers.smtp import start_smtp

pytestmark = pytest.mark.running

ANN = {"email": "ann@example.org", "password": PASSWORD}
ME, NEW = "/api/v1/users/me", "another horse, another staple"


def sign_in(web: Web, password: str = PASSWORD) -> dict[str, Any]:
    given: dict[str, Any] = web.post("/api/v1/auth/login", {**ANN, "password": password}).json()
    return given


def with_token(given: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {given['access_token']}"}


@pytest.mark.req("A2")
def test_a_session_ended_on_one_replica_is_refused_by_all_also_while_redis_is_away(
    start_web: StartWeb, own_redis: RedisServer
) -> None:
    here, there = start_web(redis_url=own_redis.url), start_web(redis_url=own_redis.url)
    here.post("/api/v1/auth/register", ANN)
    ended, kept = sign_in(here), sign_in(here)
    assert there.get(ME, headers=with_token(ended)).status_code == 200

    there.post("/api/v1/auth/logout", {}, headers=with_token(ended))
    with_redis = [web.get(ME, headers=with_token(ended)).status_code for web in (here, there)]
    own_redis.kill()
    without_redis = [web.get(ME, headers=with_token(ended)).status_code for web in (here, there)]
    others = [web.get(ME, headers=with_token(kept)).status_code for web in (here, there)]

    assert with_redis == without_redis == [401, 401]
    assert others == [200, 200]


@pytest.mark.req("A2")
def test_a_new_signing_key_signs_no_one_out_over_a_rolling_restart(start_web: StartWeb) -> None:
    old_key, new_key = "o" * 40, "n" * 40
    before = start_web(JWT_SECRET_KEY=old_key, JWT_SECRET_KEY_FALLBACKS=new_key)  # first, every replica can read it
    after = start_web(JWT_SECRET_KEY=new_key, JWT_SECRET_KEY_FALLBACKS=old_key)
    before.post("/api/v1/auth/register", ANN)
    old, new = sign_in(before), sign_in(after)

    crossed = [web.get(ME, headers=with_token(given)).status_code for web in (before, after) for given in (old, new)]
    renewed = after.post("/api/v1/auth/refresh", {"refresh_token": old["refresh_token"]})

    assert crossed == [200] * 4
    assert renewed.status_code == 200


@pytest.mark.req("A2")
def test_a_forgotten_password_is_replaced_through_the_worker_and_a_mail_server_that_first_says_later(
    start_web: StartWeb, start_worker: Callable[..., RunningService]
) -> None:
    with start_smtp() as mailbox:
        mailbox.refusals = 1
        settings = {
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(mailbox.port),
            "MAIL_USE_TLS": "false",
            "PUBLIC_BASE_URL": "https://service.example.org",
        }
        web = start_web(**settings)
        worker = start_worker(["worker", "--loglevel", "INFO", "--concurrency", "1"], **settings)
        web.post("/api/v1/auth/register", ANN)
        before = sign_in(web)

        asked = web.post("/api/v1/auth/forgot-password", {"email": ANN["email"]})
        found = re.search(r"reset-password#token=(\S+)", mailbox.wait().get_content())
        assert found, worker.output()
        reset = web.post("/api/v1/auth/reset-password", {"token": found[1], "new_password": NEW})

        assert (asked.status_code, reset.status_code) == (202, 204)
        assert mailbox.refusals == 0
        assert web.get(ME, headers=with_token(before)).status_code == 401
        assert "access_token" in sign_in(web, NEW)
        assert found[1] not in worker.output() + web.process.output()
        assert ANN["email"] not in worker.output()
