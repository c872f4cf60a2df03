"""Profile requests and their reports; `running/test_profiling.py` profiles a running service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from redis import Redis

from app import create_app
from app.platform.components import platform_of
from app.platform.profiling import profile_requests
from app.platform.profiling.profile_requests import (
    FOLDER,
    REPORTS_TO_KEEP,
    ProfileQueues,
    ProfileRequest,
    ProfileRequests,
    delete_old_reports,
    report_key,
    request_profiles,
    run_profile,
)
from app.platform.redis.client import redis_breaker_of
from app.platform.storage import Storage, storage_of
from tests.environments import basic_environment
from tests.platform.storage.factory import folder_storage
from tests.servers import RedisServer, free_port, wait_until


@pytest.fixture
def service(redis_server: RedisServer, tmp_path: Path) -> Iterator[Flask]:
    settings = {"REDIS_URL": redis_server.url, "STORAGE_URL": tmp_path.as_uri(), "RATELIMIT_ENABLED": "false"}
    yield create_app(basic_environment(DATABASE_URL="sqlite://", **settings))
    redis_server.flush()


@pytest.fixture
def started_profiles(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ProfileRequest]]:
    """The role and the request of each profile that would have started."""
    started: list[tuple[str, ProfileRequest]] = []
    monkeypatch.setattr(profile_requests, "run_profile", lambda _app, role, taken: started.append((role, taken)))
    return started


@pytest.mark.req("O7")
def test_one_process_of_each_role_takes_a_request(
    service: Flask, started_profiles: list[tuple[str, ProfileRequest]]
) -> None:
    others = ProfileRequests(service, "web"), ProfileRequests(service, "worker")

    profile_request = request_profiles(service, 1)
    service.test_client().get("/health")
    for queue in others:
        queue.poll()

    assert wait_until(lambda: len(started_profiles) >= 2, 60)
    assert sorted(started_profiles) == [("web", profile_request), ("worker", profile_request)]


@pytest.mark.parametrize(("taken", "polls"), [(None, [1000, 1010, 1020]), (ProfileRequest("an id", 5), [1000, 1020])])
@pytest.mark.req("O7")
def test_process_polls_every_ten_seconds_and_not_during_a_profile(
    service: Flask,
    started_profiles: list[tuple[str, ProfileRequest]],
    monkeypatch: pytest.MonkeyPatch,
    taken: ProfileRequest | None,
    polls: list[int],
) -> None:
    clock = [0]
    polled: list[int] = []

    def take(_: ProfileRequests) -> ProfileRequest | None:
        polled.append(clock[0])
        return taken

    monkeypatch.setattr(ProfileRequests, "_take", take)
    queue = ProfileRequests(service, "web")
    monkeypatch.setattr(profile_requests, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    for clock[0] in range(1000, 1030):
        queue.poll()

    assert polled == polls


@pytest.mark.req("O7")
def test_unavailable_redis_fails_no_request(tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=url, STORAGE_URL=tmp_path.as_uri()))

    started = time.monotonic()
    statuses = {app.test_client().get("/health").status_code for _ in range(20)}

    assert statuses == {200}
    assert time.monotonic() - started < 10
    assert not redis_breaker_of(app).allows_request()


@pytest.mark.req("O7")
def test_without_redis_the_command_names_the_setting() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))

    result = app.test_cli_runner().invoke(args=["profile"])

    assert platform_of(app).find(ProfileQueues) is None
    assert result.exit_code == 1
    assert "set REDIS_URL" in result.output


@pytest.mark.req("O7")
def test_weekly_task_requests_the_configured_duration(service: Flask, redis_server: RedisServer) -> None:
    with service.app_context():
        profile_requests.request_weekly_profiles()
    schedule = service.extensions["celery"].conf.beat_schedule["profiling.request"]

    with Redis.from_url(redis_server.url) as redis:
        requests = [redis.get(f"service-under-test:profile:{role}") for role in ("web", "worker")]
        ttl = redis.ttl("service-under-test:profile:web")
    assert all(text and b'"seconds": 30' in text for text in requests)
    assert 3500 < ttl <= 3600
    assert schedule["schedule"].days == 7


@pytest.mark.req("O7")
def test_stores_the_report_and_logs_a_summary(service: Flask, caplog: pytest.LogCaptureFixture) -> None:
    profile_request = ProfileRequest("20260102T030405Z-abc123", 1)

    run_profile(service, "web", profile_request)

    storage = storage_of(service)
    text = storage.open(report_key(profile_request, "web", "txt")).read().decode()
    assert sorted(storage.list_keys(FOLDER)) == [f"{FOLDER}{profile_request.id}-web.{kind}" for kind in ("html", "txt")]
    assert f"Profile {profile_request.id} of a web process" in text
    assert "CPU: " in text
    assert "Memory: " in text
    (record,) = [record for record in caplog.records if record.message == "profile"]
    assert (vars(record)["role"], vars(record)["profile"]) == ("web", profile_request.id)


@pytest.mark.req("O7")
def test_profile_is_logged_if_its_report_cannot_be_stored(
    service: Flask, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "profiles").write_text("a file where the folder should be")

    run_profile(service, "web", ProfileRequest("20260102T030405Z-abc123", 1))

    assert [record.message for record in caplog.records if record.name == profile_requests.__name__] == [
        "profile",
        "a profile failed",
    ]


@pytest.mark.req("O7")
def test_deletes_old_reports_of_each_role(tmp_path: Path) -> None:
    storage: Storage = folder_storage(tmp_path)
    ids = [f"202601{day:02}T000000Z-abc123" for day in range(1, REPORTS_TO_KEEP + 4)]
    for id_ in ids:
        storage.put(report_key(ProfileRequest(id_, 1), "web", "txt"), b"a report")
    storage.put(report_key(ProfileRequest(ids[0], 1), "worker", "txt"), b"a report")

    delete_old_reports(storage)

    remaining = [report_key(ProfileRequest(id_, 1), "web", "txt") for id_ in ids[-REPORTS_TO_KEEP:]]
    assert sorted(storage.list_keys(FOLDER)) == sorted(
        [*remaining, report_key(ProfileRequest(ids[0], 1), "worker", "txt")]
    )
