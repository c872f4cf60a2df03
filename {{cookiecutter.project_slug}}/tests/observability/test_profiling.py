"""Ordering profiles, and keeping their reports; `running/test_profiling.py` profiles a running service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from redis import Redis

from app import create_app
from app.observability import profiling
from app.observability.profiling import FOLDER, KEPT, Order, OrderBook, carry_out, leave_orders, prune, report_key
from app.redis_client import rest_of
from app.storage import Storage, storage_of
from tests.data_files.factory import folder_storage
from tests.environments import basic_environment
from tests.servers import RedisServer, free_port, wait_until


@pytest.fixture
def service(redis_server: RedisServer, tmp_path: Path) -> Iterator[Flask]:
    settings = {"REDIS_URL": redis_server.url, "STORAGE_URL": tmp_path.as_uri(), "RATELIMIT_ENABLED": "false"}
    yield create_app(basic_environment(DATABASE_URL="sqlite://", **settings))
    redis_server.flush()


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Order]]:
    """What processes would have begun."""
    begun: list[tuple[str, Order]] = []
    monkeypatch.setattr(profiling, "carry_out", lambda _app, role, order: begun.append((role, order)))
    return begun


@pytest.mark.req("O7")
def test_one_process_of_each_role_takes_an_order(service: Flask, carried_out: list[tuple[str, Order]]) -> None:
    others = OrderBook(service, "web"), OrderBook(service, "worker")

    order = leave_orders(service, 1)
    service.test_client().get("/health")
    for book in others:
        book.look()

    assert wait_until(lambda: len(carried_out) >= 2, 5)
    assert sorted(carried_out) == [("web", order), ("worker", order)]


@pytest.mark.parametrize(("found", "looks"), [(None, [1000, 1010, 1020]), (Order("an id", 5), [1000, 1020])])
@pytest.mark.req("O7")
def test_a_process_looks_rarely_and_not_at_all_while_it_is_profiled(
    service: Flask,
    carried_out: list[tuple[str, Order]],
    monkeypatch: pytest.MonkeyPatch,
    found: Order | None,
    looks: list[int],
) -> None:
    clock = [0]
    looked: list[int] = []

    def take(_: OrderBook) -> Order | None:
        looked.append(clock[0])
        return found

    monkeypatch.setattr(OrderBook, "_take", take)
    book = OrderBook(service, "web")
    monkeypatch.setattr(profiling, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    for clock[0] in range(1000, 1030):
        book.look()

    assert looked == looks


@pytest.mark.req("O7")
def test_a_redis_that_is_away_costs_one_request_a_refusal_and_breaks_none(tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=url, STORAGE_URL=tmp_path.as_uri()))

    started = time.monotonic()
    statuses = {app.test_client().get("/health").status_code for _ in range(20)}

    assert statuses == {200}
    assert time.monotonic() - started < 1
    assert not rest_of(app).is_over()


@pytest.mark.req("O7")
def test_without_redis_nothing_is_looked_for_and_the_command_says_why() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))

    result = app.test_cli_runner().invoke(args=["profile"])

    assert "profile_orders" not in app.extensions
    assert result.exit_code == 1
    assert "set REDIS_URL" in result.output


@pytest.mark.req("O7")
def test_the_weekly_job_orders_with_the_seconds_of_the_settings(service: Flask, redis_server: RedisServer) -> None:
    with service.app_context():
        profiling.order_weekly()
    schedule = service.extensions["celery"].conf.beat_schedule["profiling.order"]

    with Redis.from_url(redis_server.url) as redis:
        orders = [redis.get(f"service-under-test:profile:{role}") for role in ("web", "worker")]
        lifetime = redis.ttl("service-under-test:profile:web")
    assert all(order and b'"seconds": 30' in order for order in orders)
    assert 3500 < lifetime <= 3600
    assert schedule["schedule"].days == 7


@pytest.mark.req("O7")
def test_a_report_is_kept_as_text_and_page_and_its_gist_logged(
    service: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    order = Order("20260102T030405Z-abc123", 1)

    carry_out(service, "web", order)

    storage = storage_of(service)
    text = storage.open(report_key(order, "web", "txt")).read().decode()
    assert sorted(storage.keys(FOLDER)) == [f"{FOLDER}{order.id}-web.{kind}" for kind in ("html", "txt")]
    assert f"Profile {order.id} of a web process" in text
    assert "Processor: " in text
    assert "Memory: " in text
    (record,) = [record for record in caplog.records if record.message == "profile"]
    assert (vars(record)["role"], vars(record)["profile"]) == ("web", order.id)


@pytest.mark.req("O7")
def test_a_profile_whose_report_cannot_be_kept_is_logged_all_the_same(
    service: Flask, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "profiles").write_text("a file where the folder should be")

    carry_out(service, "web", Order("20260102T030405Z-abc123", 1))

    assert [record.message for record in caplog.records if record.name == profiling.__name__] == [
        "profile",
        "a profile failed",
    ]


@pytest.mark.req("O7")
def test_old_reports_are_dropped_for_each_role(tmp_path: Path) -> None:
    storage: Storage = folder_storage(tmp_path)
    ids = [f"202601{day:02}T000000Z-abc123" for day in range(1, KEPT + 4)]
    for id_ in ids:
        storage.put(report_key(Order(id_, 1), "web", "txt"), b"a report")
    storage.put(report_key(Order(ids[0], 1), "worker", "txt"), b"a report")

    prune(storage)

    kept = [report_key(Order(id_, 1), "web", "txt") for id_ in ids[-KEPT:]]
    assert sorted(storage.keys(FOLDER)) == sorted([*kept, report_key(Order(ids[0], 1), "worker", "txt")])
