"""The servers that the other tests stand on: they answer, freeze, and come back where they were."""

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


def answer_after_a_pause(server: PostgresServer | RedisServer, *asks: Callable[[], object]) -> bool:
    """Ask a frozen server, in a thread each, and say whether every answer came after ``resume`` and none before."""
    askers = [threading.Thread(target=ask, daemon=True) for ask in asks]
    server.pause()
    for asker in askers:
        asker.start()
    time.sleep(0.5)
    frozen = all(asker.is_alive() for asker in askers)
    server.resume()
    for asker in askers:
        asker.join(5)
    return frozen and not any(asker.is_alive() for asker in askers)


def test_postgres_answers(postgres: PostgresServer) -> None:
    assert query(postgres.url("postgres"), b"SELECT current_user") == [("postgres",)]


def test_postgres_copies_a_database(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.create_database("original")) as connection:
        connection.execute("CREATE TABLE fruit AS SELECT 'quince' AS name")

    assert query(postgres.create_database("copy", template="original"), b"SELECT name FROM fruit") == [("quince",)]
    postgres.drop_database("copy")


def test_postgres_freezes(postgres: PostgresServer) -> None:
    url = postgres.url("postgres")
    with psycopg.connect(url) as connection:
        assert answer_after_a_pause(postgres, lambda: connection.execute("SELECT 1"), lambda: query(url, b"SELECT 1"))


@pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill, PostgresServer.pause])
def test_postgres_comes_back_on_its_port_with_its_data(
    postgres: PostgresServer, end: Callable[[PostgresServer], None]
) -> None:
    with psycopg.connect(postgres.url("postgres")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS endings (name text)")
        connection.execute("INSERT INTO endings VALUES (%s)", [end.__name__])

    end(postgres)
    postgres.restart()

    assert (end.__name__,) in query(postgres.url("postgres"), b"SELECT name FROM endings")


def test_a_stopped_postgres_refuses(postgres: PostgresServer) -> None:
    postgres.stop()
    try:
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(postgres.url("postgres"))
        with pytest.raises(ServerError, match="stopped"):
            postgres.pause()
    finally:
        postgres.restart()


def test_redis_answers_to_its_password_only(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.ping()
    stranger = redis.Redis(port=redis_server.port, retry=Retry(NoBackoff(), 0))
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_redis_freezes(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        assert answer_after_a_pause(redis_server, client.ping)


def test_redis_is_emptied(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("fruit", "quince")
        redis_server.flush()

        assert client.dbsize() == 0


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill, RedisServer.pause])
def test_redis_comes_back_on_its_port(redis_server: RedisServer, end: Callable[[RedisServer], None]) -> None:
    end(redis_server)
    redis_server.restart()

    with redis.Redis.from_url(redis_server.url) as client:
        assert client.ping()


def test_a_taken_port_is_not_mistaken_for_ours(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = iter([redis_server.port, free_port()])
    monkeypatch.setattr(f"{__package__}.server.free_port", lambda: next(ports))

    with start_redis("a password") as second:
        assert second.port != redis_server.port
