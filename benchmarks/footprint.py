"""Footprint of a server: memory, and CPU time to start."""

from __future__ import annotations

from functools import partial

from benchmarks.load_generator import generate_load
from benchmarks.paired_statistics import quartiles
from benchmarks.process_stats import memory_mb, process_tree
from benchmarks.routes import COMPARED_ROUTES
from benchmarks.run import MAIN_DATABASE, BenchmarkRun
from benchmarks.servers import ENTRYPOINT_COMMAND, FLASK, PEER_COMMANDS, SERVICE, Server, start_peer, start_service

WORKERS = 2  # worker processes of each server
MORE_WORKERS = 4
STARTUP_RATIO = f"start-up, CPU seconds: {SERVICE} / {FLASK}"
CONTAINER = f"{SERVICE} in a container, all of entrypoint.sh"


def measure_memory(server: Server, workers: int = WORKERS) -> dict[str, float]:
    """Return MB (10^6 bytes): the unique set size per worker, and the proportional set size of the whole server."""
    processes = [memory_mb(pid) for pid in process_tree(server.process.pid)]
    uss = sorted(process["uss"] for process in processes[1:])[-workers:]
    return {"uss_per_worker": sum(uss) / workers, "whole_server": sum(process["pss"] for process in processes)}


def measure_service_memory(run: BenchmarkRun, service: Server) -> None:
    """Measure the service's memory after all previous load, and what two more workers add to a new server."""
    memory = measure_memory(service)
    run.record("memory per worker, MB (USS)", quartiles([memory["uss_per_worker"]]))
    few, many = (_whole_server_mb(run, workers) for workers in (WORKERS, MORE_WORKERS))
    per_extra_worker = (many - few) / (MORE_WORKERS - WORKERS)
    run.record("memory per extra worker, MB of the whole server", quartiles([per_extra_worker]))
    run.figures["memory"][SERVICE] = memory | {"per_extra_worker": per_extra_worker}


def _whole_server_mb(run: BenchmarkRun, workers: int) -> float:
    name = f"{SERVICE} with {workers} workers"
    service = start_service(run.environment, MAIN_DATABASE, name=name, GUNICORN_WORKERS=str(workers))
    with run.running(service):
        for route in COMPARED_ROUTES:
            requests = route.raw_requests(service.tokens)
            generate_load(service.port, requests, run.plan.duration, route.connections * 2)
        return measure_memory(service, workers)["whole_server"]


def measure_startup(run: BenchmarkRun) -> None:
    """Start every server several more times, and record the CPU time of all its starts until it is idle."""
    run.log("restarting every server")
    environment = run.environment
    starts = [
        partial(start_service, environment, MAIN_DATABASE),
        partial(start_service, environment, MAIN_DATABASE, ENTRYPOINT_COMMAND, name=CONTAINER),
        *(partial(start_peer, environment, MAIN_DATABASE, name) for name in PEER_COMMANDS),
    ]
    for start in starts * run.plan.starts:
        with run.running(start()):
            pass
    for name, seconds in run.startups.items():
        if name.startswith(f"{SERVICE}, "):
            continue  # a variant from feature_costs
        run.record(f"start-up of {name}, CPU seconds", quartiles(seconds))
    pairs = zip(run.startups[SERVICE], run.startups[FLASK], strict=False)  # the service also started before
    run.record(STARTUP_RATIO, quartiles([service / flask for service, flask in pairs]))
