"""What it takes to run a server at all: memory, and CPU time to start."""

from __future__ import annotations

from functools import partial

from benchmarks.bench import MAIN, Bench
from benchmarks.cost import family, memory
from benchmarks.load import drive
from benchmarks.pairs import spread
from benchmarks.routes import COMPARED
from benchmarks.servers import ENTRYPOINT, PEER_COMMANDS, SERVICE, Server, start_peer, start_service

WORKERS = 2  # processes of a server that answer
MORE_WORKERS = 4
CONTAINER = f"{SERVICE} in a container, with all that entrypoint.sh does"


def weigh(server: Server, workers: int = WORKERS) -> dict[str, float]:
    """Return megabytes (10^6 bytes): those that each worker has for itself, and those of the whole server."""
    parts = [memory(pid) for pid in family(server.process.pid)]
    own = sorted(part["unshared"] for part in parts[1:])[-workers:]
    return {"unshared_per_worker": sum(own) / workers, "whole_server": sum(part["proportional"] for part in parts)}


def weigh_service(bench: Bench, service: Server) -> None:
    """Weigh the service after all that load, and see what two workers more add to a fresh one."""
    worn = weigh(service)
    bench.judge("memory of a worker, MB unshared", spread([worn["unshared_per_worker"]]))
    few, many = (_weigh_with(bench, workers) for workers in (WORKERS, MORE_WORKERS))
    extra = (many - few) / (MORE_WORKERS - WORKERS)
    bench.judge("memory of an extra worker, MB that the server grows by", spread([extra]))
    bench.figures["memory"][SERVICE] = worn | {"whole_server_grows_by": extra}


def _weigh_with(bench: Bench, workers: int) -> float:
    name = f"{SERVICE} with {workers} workers"
    with bench.running(start_service(bench.ground, MAIN, name=name, GUNICORN_WORKERS=str(workers))) as service:
        for route in COMPARED:
            drive(service.port, route.messages(service.tokens), bench.plan.window, route.connections * 2)
        return weigh(service, workers)["whole_server"]


def start_repeatedly(bench: Bench) -> None:
    """Start every server a few times more, and see what CPU time that takes until it has nothing left to do."""
    bench.say("starting everything again")
    ground = bench.ground
    starts = [partial(start_service, ground, MAIN), partial(start_service, ground, MAIN, ENTRYPOINT, name=CONTAINER)]
    starts += [partial(start_peer, ground, MAIN, name) for name in PEER_COMMANDS]
    for start in starts * bench.plan.starts:
        with bench.running(start()):
            pass
    for name, found in bench.starts.items():
        if name.startswith(f"{SERVICE}, "):
            continue  # one of those that lack a part
        bench.judge(f"start-up of {name}, seconds of CPU", spread(found))
