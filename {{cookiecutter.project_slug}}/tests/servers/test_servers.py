"""The servers of the tests respond, freeze and restart on the same port."""

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import PostgresServer, RedisServer, ServerError, free_port, start_postgres, start_redis

pytestmark = pytest.mark.running


@pytest.fixture(scope="module", params=[False, True], ids=["found", "bundled"])
def postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with start_postgres(bundled=request.param) as server:
        yield server


@pytest.fixture(scope="module", params=[False, True], ids=["found", "bundled"])
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with start_redis("a password", bundled=request.param) as server:
        yield server


def query(url: str, statement: bytes) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def responds_only_after_resume(server: PostgresServer | RedisServer, *calls: Callable[[], object]) -> bool:
    """Call a frozen server, each call in a thread; returns whether all calls return after `resume` and none before."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    server.pause()
    for thread in threads:
        thread.start()
    time.sleep(0.5)  # a server that still runs responds in this time
    frozen = all(thread.is_alive() for thread in threads)
    server.resume()
    for thread in threads:
        thread.join(60)
    return frozen and not any(thread.is_alive() for thread in threads)


def test_postgres_runs_queries(postgres: PostgresServer) -> None:
    assert query(postgres.url("postgres"), b"SELECT current_user") == [("postgres",)]


def test_postgres_copies_a_database(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.create_database("original")) as connection:
        connection.execute("CREATE TABLE fruit AS SELECT 'quince' AS name")

    assert query(postgres.create_database("copy", template="original"), b"SELECT name FROM fruit") == [("quince",)]
    postgres.drop_database("copy")


def test_paused_postgres_responds_after_resume(postgres: PostgresServer) -> None:
    url = postgres.url("postgres")
    with psycopg.connect(url) as connection:
        assert responds_only_after_resume(
            postgres, lambda: connection.execute("SELECT 1"), lambda: query(url, b"SELECT 1")
        )


@pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill, PostgresServer.pause])
def test_postgres_restarts_on_its_port_with_its_data(
    postgres: PostgresServer, end: Callable[[PostgresServer], None]
) -> None:
    with psycopg.connect(postgres.url("postgres")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS endings (name text)")
        connection.execute("INSERT INTO endings VALUES (%s)", [end.__name__])

    end(postgres)
    postgres.restart()

    assert (end.__name__,) in query(postgres.url("postgres"), b"SELECT name FROM endings")


def test_stopped_postgres_refuses_connections(postgres: PostgresServer) -> None:
    postgres.stop()
    try:
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(postgres.url("postgres"))
        with pytest.raises(ServerError, match="stopped"):
            postgres.pause()
    finally:
        postgres.restart()


def test_redis_requires_its_password(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.ping()
    anonymous = redis.Redis(port=redis_server.port, retry=Retry(NoBackoff(), 0))
    with anonymous, pytest.raises(redis.AuthenticationError):
        anonymous.ping()


def test_paused_redis_responds_after_resume(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        assert responds_only_after_resume(redis_server, client.ping)


def test_flush_empties_redis(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("fruit", "quince")
        redis_server.flush()

        assert client.dbsize() == 0


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill, RedisServer.pause])
def test_redis_restarts_on_its_port(redis_server: RedisServer, end: Callable[[RedisServer], None]) -> None:
    end(redis_server)
    redis_server.restart()

    with redis.Redis.from_url(redis_server.url) as client:
        assert client.ping()


def test_server_chooses_another_port_if_the_first_is_taken(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([redis_server.port, free_port()])
    monkeypatch.setattr(f"{__package__}.server.free_port", lambda: next(ports))

    with start_redis("a password") as second:
        assert second.port != redis_server.port
