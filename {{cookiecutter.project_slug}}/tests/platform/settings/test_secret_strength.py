"""Secrets are long and random, and each has one purpose."""

from __future__ import annotations

import secrets
import uuid

import pytest

from app.features import FEATURE_SETTINGS
from app.platform.settings.checks import check_settings
from app.platform.settings.secret_strength import secret_problem
from tests.platform.settings.test_checks import PRODUCTION

pytestmark = [pytest.mark.fault("F34"), pytest.mark.req("S3")]

RANDOM = secrets.token_urlsafe(48)
WEAK = [
    "a" * 32,
    "ab" * 16,
    "abcdefgh" * 4,
    "0123456789" * 4,
    "abcdefghijklmnopqrstuvwxyz012345",
    "zyxwvutsrqponmlkjihgfedcba987654",
    "1q2w3e4r5t6y7u8i9o0p" * 2,
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaB1",
    "this-is-a-placeholder-0f8fad5bd9cb469fa165",
    "my-company-change-it-before-the-deploy-42",
    "Passw0rd-Password-Passwort-2026-January",
]


@pytest.mark.parametrize("weak", WEAK)
@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SECRET_KEY", "MASTER_ENCRYPTION_KEY", "METRICS_TOKEN"])
def test_weak_secret_is_rejected(name: str, weak: str) -> None:
    (problem,) = check_settings({**PRODUCTION, name: weak}, FEATURE_SETTINGS).problems

    assert problem.startswith((f"{name} is a placeholder", f"{name} repeats characters or follows a pattern"))
    assert weak not in problem


def test_random_secrets_of_every_usual_alphabet_are_accepted() -> None:
    for _ in range(1000):
        for secret in (secrets.token_hex(16), secrets.token_urlsafe(24), uuid.uuid4().hex, secrets.token_hex(600)):
            assert secret_problem(secret) == "", secret


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SECRET_KEY": RANDOM, "JWT_SECRET_KEY": RANDOM}, "JWT_SECRET_KEY has the value of SECRET_KEY"),
        ({"SECRET_KEY": f"{RANDOM}1", "METRICS_TOKEN": f"{RANDOM}2"}, "METRICS_TOKEN has the value of SECRET_KEY"),
        ({"SECRET_KEY": RANDOM, "SECRET_KEY_FALLBACKS": RANDOM}, "SECRET_KEY_FALLBACKS: an entry has the value of"),
        ({"FLOWER_PASSWORD": RANDOM, "METRICS_TOKEN": RANDOM}, "FLOWER_PASSWORD has the value of METRICS_TOKEN"),
    ],
)
def test_equal_secrets_are_rejected_in_production(changes: dict[str, str], message: str) -> None:
    (problem,) = check_settings({**PRODUCTION, **changes}, FEATURE_SETTINGS).problems

    assert problem.startswith(message)
    assert check_settings({**PRODUCTION, **changes, "APP_ENV": "development"}, FEATURE_SETTINGS).problems == []
