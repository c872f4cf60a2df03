"""`RunningService`, and the end of every process that tests start."""

import signal
import sys
from pathlib import Path

import pytest

from . import RunningService, ServerError, clean_environment, free_port, process_reaper, wait_until

pytestmark = pytest.mark.running

ROOT = Path(__file__).parents[len(str(__package__).split("."))]
PARENT = f"""
import json, time
from {__package__} import process_reaper, start_postgres, start_redis
servers = [start_redis(), start_postgres()]
servers[-1].pause()
pids = [pid for server in servers for pid in process_reaper.process_tree(server.pid)]
print(json.dumps(dict(pids=pids, folders=[str(server.folder) for server in servers])), flush=True)
for _ in range(600):
    time.sleep(0.1)  # a signal just before a sleep is handled after it
"""


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_no_server_outlives_the_test_process(signal_number: int) -> None:
    with RunningService([sys.executable, "-c", PARENT], {"PYTHONPATH": str(ROOT)}) as parent:
        parent.wait_until_printed('"folders"')
        left = parent.lines()[0]
        assert len(left["pids"]) > 5
        parent.stop(signal_number)

        assert wait_until(lambda: not process_reaper.still_running(left["pids"]), timeout=60)
        assert wait_until(lambda: not any(Path(folder).exists() for folder in left["folders"]), timeout=60)


def test_programs_do_not_inherit_the_developers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "of the developer")

    assert "DATABASE_URL" not in clean_environment()
    assert clean_environment({"DATABASE_URL": "of the test"})["DATABASE_URL"] == "of the test"


def test_service_output_is_read_and_its_children_end() -> None:
    port = free_port()
    program = f"""
import json, subprocess, sys
print("plain", flush=True)
print(json.dumps(dict(level="info")), flush=True)
subprocess.Popen(["sleep", "600"])
from http.server import *
HTTPServer(("127.0.0.1", {port}), BaseHTTPRequestHandler).serve_forever()
"""
    with RunningService([sys.executable, "-c", program], {}) as service:
        service.wait_until_listening(port)
        [child] = service.children()

        assert service.lines() == [{"level": "info"}]
        assert service.stop() == -signal.SIGTERM
    assert not process_reaper.still_running([child])


def test_errors_contain_the_last_output() -> None:
    failing = RunningService(["sh", "-c", "echo no such luck; exit 3"], {})
    with failing, pytest.raises(ServerError, match=r"ended with 3(.|\n)*no such luck"):
        failing.wait_until_listening(free_port())

    with RunningService(["sh", "-c", "echo still waiting; trap '' TERM; sleep 600"], {}) as service:
        service.wait_until_printed("waiting")
        with pytest.raises(TimeoutError, match=r"did not end in 0\.2 s(.|\n)*still waiting"):
            service.stop(timeout=0.2)
