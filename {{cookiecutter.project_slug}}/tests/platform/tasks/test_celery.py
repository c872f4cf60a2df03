"""Tasks in one process; `running/test_worker.py` starts a real worker."""

from __future__ import annotations

import pytest
from celery import Celery, Task
from flask import Flask, current_app, has_app_context
from redis import Redis

from app import create_app
from app.accounts.tasks import record_login
from app.platform.settings.declarations import settings_of
from app.platform.tasks.celery import PUBLISH_FAILURES, ContextTask, heartbeat, heartbeat_age
from app.platform.telemetry.logging import context_value, reset_context
from tests.environments import basic_environment
from tests.servers import RedisServer, free_port


class LibraryTask(Task):
    """A base without an app context, as a library may define it."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self.run(*args, **kwargs)


@pytest.fixture
def celery() -> Celery:
    """The Celery of an app without a broker: tasks run immediately."""
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))
    return app.extensions["celery"]


@pytest.mark.parametrize("base", [None, ContextTask, LibraryTask])
@pytest.mark.req("W1")
def test_tasks_with_any_base_have_an_app_context(celery: Celery, base: type | None) -> None:
    options = {"base": base} if base else {}

    @celery.task(name=f"test.{base}", **options)
    def task() -> str:
        return settings_of(current_app).SERVICE_NAME

    assert task.delay().get() == "service-under-test"
    assert not has_app_context()


@pytest.mark.req("W1")
def test_every_scheduled_name_is_that_of_a_task(celery: Celery) -> None:
    missing = set(celery.conf.beat_schedule) - set(celery.tasks)

    assert not missing, f"no task has the name of the schedule: {', '.join(sorted(missing))}"


@pytest.mark.req("W1")
def test_task_called_directly_has_an_app_context(celery: Celery) -> None:
    @celery.task(name="test.called")
    def task() -> str:
        return current_app.name

    assert task() == "app"
    assert not has_app_context()


@pytest.mark.req("W1")
def test_failed_task_pops_its_context(celery: Celery) -> None:
    @celery.task(name="test.fails")
    def task() -> None:
        raise ValueError("on purpose")

    assert task.delay().failed()
    assert not has_app_context()


@pytest.mark.req("W1")
def test_eager_task_within_a_request_has_its_own_context(celery: Celery) -> None:
    flask_app: Flask = celery.flask_app
    seen = []

    @celery.task(name="test.nested")
    def task() -> None:
        seen.append(current_app.extensions is flask_app.extensions)
        reset_context(request_id="of the task")

    with flask_app.test_request_context():
        reset_context(request_id="of the request")
        task.delay()
        assert context_value("request_id") == "of the task"  # an eager task shares the log fields
        assert has_app_context()

    assert seen == [True]


@pytest.mark.req("W1")
def test_task_message_contains_the_request_id(redis_server: RedisServer) -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis_server.url))
    with Redis.from_url(redis_server.url) as redis, app.app_context():
        redis.flushdb()
        reset_context(request_id="a-request")
        heartbeat.apply_async()

        (message,) = redis.lrange(app.extensions["celery"].conf.task_default_queue, 0, -1)
        redis.flushdb()
    app.extensions["celery"].close()

    assert b'"request_id": "a-request"' in message


@pytest.mark.req("S8", "O2")
def test_services_on_one_redis_have_separate_heartbeats(redis_server: RedisServer) -> None:
    shared = {"DATABASE_URL": "sqlite://", "REDIS_URL": redis_server.url}
    orders, payments = (create_app(basic_environment(**shared, SERVICE_NAME=name)) for name in ("orders", "payments"))
    with orders.app_context():
        heartbeat()

    assert heartbeat_age(orders) is not None
    assert heartbeat_age(payments) is None


def used_keys(redis_server: RedisServer, service: str) -> set[str]:
    """Return the keys in Redis and the channels of a service whose worker has a task and listens for commands."""
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis_server.url, SERVICE_NAME=service))
    celery: Celery = app.extensions["celery"]
    with redis_server.client() as redis, app.app_context(), celery.connection_for_read() as connection:
        redis.flushdb()
        heartbeat.apply_async()
        channel = connection.default_channel
        queue = celery.amqp.queues[celery.conf.task_default_queue].bind(channel)
        queue.declare()
        assert queue.get() is not None  # and does not acknowledge it
        celery.control.mailbox.Node("worker", channel=channel).listen()
        broadcast = channel._get_publish_topic(celery.control.mailbox.exchange.name, "")
        events = channel._get_publish_topic(celery.conf.event_exchange, "")
        keys = {key.decode() for key in redis.scan_iter()} | {broadcast, events}
        redis.flushdb()
    celery.close()
    return keys


@pytest.mark.req("W1")
def test_services_on_one_redis_share_no_key_of_the_broker(redis_server: RedisServer) -> None:
    orders, payments = (used_keys(redis_server, name) for name in ("orders", "payments"))

    assert {"orders:unacknowledged", "orders:unacknowledged_index"} <= orders
    # When unused bindings expire; their names contain that of the service.
    assert orders & payments == {"_kombu.binding_deadlines"}


@pytest.mark.req("W1")
def test_unavailable_broker_is_counted() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"))
    before = PUBLISH_FAILURES.labels("accounts.record_login")._value.get()

    with app.app_context():
        sent = record_login.try_delay(1, "2026-01-01T00:00:00+00:00")

    assert not sent
    assert PUBLISH_FAILURES.labels("accounts.record_login")._value.get() - before == 1


@pytest.mark.req("W1")
def test_tasks_are_acknowledged_late_and_delivered_once(celery: Celery) -> None:
    tasks = [task for name, task in celery.tasks.items() if not name.startswith("celery.")]
    longest = max(task.time_limit for task in tasks)

    assert len(tasks) >= 2
    for task in tasks:
        assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (True, True, True)
    assert celery.conf.worker_prefetch_multiplier == 1
    assert celery.conf.broker_transport_options["visibility_timeout"] > longest
