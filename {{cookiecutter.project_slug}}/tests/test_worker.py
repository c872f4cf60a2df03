"""Tasks in one process; `running/test_worker.py` starts a real worker."""

from __future__ import annotations

import pytest
from celery import Celery, Task
from flask import Flask, current_app, has_app_context
from redis import Redis

from app import create_app
from app.accounts.tasks import note_login
from app.observability.logging import bound, rebind
from app.worker import UNSENT, ContextTask, heartbeat
from tests.environments import basic_environment
from tests.servers import RedisServer, free_port


class ForeignTask(Task):  # as somebody's library might define it
    """A base that knows nothing of Flask."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self.run(*args, **kwargs)


@pytest.fixture
def celery() -> Celery:
    """The Celery of an app without a broker, where tasks run at once."""
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))
    return app.extensions["celery"]


@pytest.mark.parametrize("base", [None, ContextTask, ForeignTask])
@pytest.mark.req("W1")
def test_a_task_has_an_app_context_whatever_its_base(celery: Celery, base: type | None) -> None:
    options = {"base": base} if base else {}

    @celery.task(name=f"of.this.test.{base}", **options)
    def task() -> str:
        return str(current_app.extensions["settings"].SERVICE_NAME)

    assert task.delay().get() == "service-under-test"
    assert not has_app_context()


@pytest.mark.req("W1")
def test_a_task_that_is_called_directly_has_an_app_context_too(celery: Celery) -> None:
    @celery.task(name="of.this.test.called")
    def task() -> str:
        return current_app.name

    assert task() == "app"
    assert not has_app_context()


@pytest.mark.req("W1")
def test_a_task_that_fails_leaves_its_context(celery: Celery) -> None:
    @celery.task(name="of.this.test.fails")
    def task() -> None:
        raise ValueError("on purpose")

    assert task.delay().failed()
    assert not has_app_context()


@pytest.mark.req("W1")
def test_a_task_within_a_request_has_a_context_of_its_own(celery: Celery) -> None:
    flask_app: Flask = celery.flask_app
    seen = []

    @celery.task(name="of.this.test.nested")
    def task() -> None:
        seen.append(current_app.extensions is flask_app.extensions)
        rebind(request_id="of the task")

    with flask_app.test_request_context():
        rebind(request_id="of the request")
        task.delay()
        assert bound("request_id") == "of the task"  # in one process, the task's lines are the request's
        assert has_app_context()

    assert seen == [True]


@pytest.mark.req("W1")
def test_the_request_id_travels_with_the_task(redis_server: RedisServer) -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis_server.url))
    with Redis.from_url(redis_server.url) as redis, app.app_context():
        redis.flushdb()
        rebind(request_id="a-request")
        heartbeat.apply_async()

        (message,) = redis.lrange(app.extensions["celery"].conf.task_default_queue, 0, -1)
        redis.flushdb()
    app.extensions["celery"].close()

    assert b'"request_id": "a-request"' in message


@pytest.mark.req("W1")
def test_a_queue_that_is_away_is_counted_and_soon_given_up() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"))
    before = UNSENT.labels("accounts.note_login")._value.get()

    with app.app_context():
        sent = note_login.send_if_possible(1, "2026-01-01T00:00:00+00:00")

    assert not sent
    assert UNSENT.labels("accounts.note_login")._value.get() - before == 1


@pytest.mark.req("W1")
def test_every_task_is_kept_until_it_is_done_and_handed_out_once(celery: Celery) -> None:
    own = [task for name, task in celery.tasks.items() if not name.startswith("celery.")]
    longest = max(task.time_limit for task in own)

    assert len(own) >= 2
    for task in own:
        assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (True, True, True)
    assert celery.conf.worker_prefetch_multiplier == 1
    assert celery.conf.broker_transport_options["visibility_timeout"] > longest
