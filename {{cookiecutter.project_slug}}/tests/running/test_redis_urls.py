"""Every kind of Redis URL works for every consumer; TLS is always verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from celery import states
from flask import Flask
from kombu.exceptions import OperationalError
from redis import RedisError

from app import create_app
from app.platform.redis.cache import Cache
from app.platform.redis.client import redis_of
from app.platform.settings.checks import check_settings
from app.platform.tasks.celery import heartbeat
from tests.environments import ROOT, basic_environment, production_environment
from tests.servers import RedisServer, RunningService, TlsRelay, create_certificates, start_redis

pytestmark = [
    pytest.mark.running,
    pytest.mark.fault("F10", "F24"),
    pytest.mark.req("S14"),
    pytest.mark.enable_socket,  # the restriction to hosts knows no Unix sockets
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),  # by Celery's result backend
]

PASSWORD = "p@s/s:w%#?& é+"
Consumer = Callable[[Flask], None]

VALID = ("redis", "redis with a user", "redis on IPv6", "rediss", "rediss on IPv6", "unix")
UNVERIFIED = ("rediss of an unknown authority", "rediss of another host")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with start_redis(PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def urls(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A URL of each kind for the one server; database 3."""
    certificates = create_certificates(tmp_path_factory.mktemp("certificates"), "127.0.0.1", "::1")
    other_host = create_certificates(tmp_path_factory.mktemp("other"), "192.0.2.1")
    account, trusted = f":{quote(PASSWORD, safe='')}@", f"?ssl_ca_certs={quote(str(certificates.authority))}"
    with ExitStack() as relays:

        def relay(**options: object) -> int:
            return relays.enter_context(TlsRelay(server.port, **options)).port  # type: ignore[arg-type] # passed on

        tls = relay(certificate=certificates.server)
        tls_on_ipv6 = relay(host="::1", certificate=certificates.server)
        yield {
            "redis": f"redis://{account}127.0.0.1:{server.port}/3",
            "redis with a user": f"redis://default{account}127.0.0.1:{server.port}/3",
            "redis on IPv6": f"redis://{account}[::1]:{relay(host='::1')}/3",
            "rediss": f"rediss://{account}127.0.0.1:{tls}/3{trusted}",
            "rediss on IPv6": f"rediss://{account}[::1]:{tls_on_ipv6}/3{trusted}",
            "unix": f"unix://{account}{server.socket}?db=3",
            # A port of its own: kombu reuses the connections of an earlier app to the same port.
            "rediss of an unknown authority": f"rediss://{account}127.0.0.1:{relay(certificate=certificates.server)}/3",
            "rediss of another host": f"rediss://{account}127.0.0.1:{relay(certificate=other_host.server)}/3"
            f"?ssl_ca_certs={quote(str(other_host.authority))}",
        }


def use_client(app: Flask) -> None:
    client = redis_of(app)
    assert client
    client.set("used-by-client", 1)


def use_limiter(app: Flask) -> None:
    app.test_client().post("/api/v1/auth/login", json={})


def use_cache(app: Flask) -> None:
    with app.app_context():
        Cache("test").get_or_compute("key", lambda: 1)


def use_broker(app: Flask) -> None:
    app.extensions["celery"].set_current()
    with app.app_context():
        heartbeat.apply_async()


def use_results(app: Flask) -> None:
    app.extensions["celery"].backend.store_result("an-id", 1, states.SUCCESS)


CONSUMERS: dict[Consumer, str] = {
    use_client: "used-by-client",
    use_limiter: "*:limit:*",
    use_cache: "*:cache:*",
    use_broker: "*.default",
    use_results: "*celery-task-meta*",
}


def stored_keys(server: RedisServer, pattern: str) -> list[bytes]:
    with server.client(database=3) as client:
        return list(client.scan_iter(pattern))


@pytest.fixture
def redis_app(server: RedisServer, urls: Mapping[str, str], kind: str) -> Iterator[Flask]:
    """An app with this kind of URL, and an empty Redis."""
    server.flush()
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=urls[kind], REDIS_TIMEOUT_SECONDS="5"))
    yield app
    app.extensions["celery"].close()


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize("kind", VALID)
def test_every_consumer_works_with_every_url(redis_app: Flask, server: RedisServer, consumer: Consumer) -> None:
    consumer(redis_app)

    assert stored_keys(server, CONSUMERS[consumer])


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize("kind", UNVERIFIED)
def test_no_consumer_talks_to_an_unverified_server(redis_app: Flask, server: RedisServer, consumer: Consumer) -> None:
    with suppress(RedisError, OperationalError):
        consumer(redis_app)

    assert stored_keys(server, "*") == []


@pytest.mark.parametrize("kind", [*VALID, *UNVERIFIED])
def test_settings_accept_every_url_for_every_consumer(urls: Mapping[str, str], kind: str) -> None:
    names = ("REDIS_URL", "CACHE_REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")

    assert check_settings(basic_environment(**dict.fromkeys(names, urls[kind])), ()).problems == []


@pytest.mark.parametrize("kind", ["rediss", "unix", "redis on IPv6"])
def test_worker_runs_tasks_with_every_transport(
    redis_app: Flask, urls: Mapping[str, str], migrated_database: str, kind: str
) -> None:
    command = ["celery", "--app", "wsgi:celery", "worker", "--loglevel", "INFO", "--concurrency", "1"]
    environment = production_environment(migrated_database, urls[kind], REDIS_TIMEOUT_SECONDS="5")

    with RunningService(command, environment, folder=ROOT) as worker:
        use_broker(redis_app)
        worker.wait_until_printed("task ends", 300)

        assert worker.stop() == 0


def test_authority_of_the_environment_is_trusted(
    server: RedisServer, urls: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = create_certificates(tmp_path, "127.0.0.1")
    with TlsRelay(server.port, certificate=certificates.server) as relay:
        url = f"rediss://:{quote(PASSWORD, safe='')}@127.0.0.1:{relay.port}/3"
        app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=url, REDIS_TIMEOUT_SECONDS="5"))

        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
        server.flush()
        for consumer in CONSUMERS:
            consumer(app)

        assert [pattern for pattern in CONSUMERS.values() if not stored_keys(server, pattern)] == []
        app.extensions["celery"].close()
