"""Mixed requests: reads, writes, uploads, failures and traced ones. Each feature declares its own (traffic.py)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from app.features import FEATURES
from tests.environments import OPERATOR
from tests.feature_modules import find_module
from tests.soak.client import Account, Action, Client, get

THREADS = 8
TRACED_SHARE = 0.1
TRACEPARENT = {"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}

Traffic = Sequence[tuple[float, Action]]  # actions with their weights

PLATFORM_TRAFFIC: Traffic = (
    (3, get("/health")),
    (2, get("/ready")),
    (0.5, get("/metrics", headers=OPERATOR)),
    (0.5, get("/api/v1/openapi.json")),
    (3, get("/nothing/here", 404)),
    (1, lambda client: client.send(f"METHOD{client.sent}", "/health", 405)),
)


def all_traffic() -> Traffic:
    """Return the actions of the platform and of all features."""
    modules = [find_module(feature.name, "traffic") for feature in FEATURES]
    return [*PLATFORM_TRAFFIC, *(entry for module in modules if module for entry in module.TRAFFIC)]


def send_traffic(url: str, accounts: Sequence[Account], requests_count: int, seed: int) -> Counter[str]:
    """Send about this many requests over a few connections, close these, and return the unexpected responses."""
    unexpected: Counter[str] = Counter()
    seeds = range(seed * THREADS, (seed + 1) * THREADS)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(partial(_send_part, url, accounts, requests_count // THREADS, unexpected), seeds))
    return unexpected


def _send_part(url: str, accounts: Sequence[Account], requests_count: int, unexpected: Counter[str], seed: int) -> None:
    choice = random.Random(seed)
    weights, actions = zip(*all_traffic(), strict=True)
    client = Client(url, accounts[0], unexpected)
    with client.session:
        while client.sent < requests_count:
            client.account = choice.choice(accounts)
            client.session.headers.clear()
            client.session.headers.update(TRACEPARENT if choice.random() < TRACED_SHARE else {})
            choice.choices(actions, weights)[0](client)
