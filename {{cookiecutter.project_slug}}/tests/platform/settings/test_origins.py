"""Entries of CORS_ORIGINS are exact origins, or have a wildcard for one whole label."""

from __future__ import annotations

import pytest

from app.features import FEATURE_SETTINGS
from app.platform.settings.checks import check_settings
from tests.platform.settings.test_checks import PRODUCTION

pytestmark = [pytest.mark.fault("F33"), pytest.mark.req("S9")]


def problems(origin: str) -> list[str]:
    return check_settings({**PRODUCTION, "CORS_ORIGINS": origin}, FEATURE_SETTINGS).problems


@pytest.mark.parametrize(
    "origin",
    [
        *("https://app.example.org", "http://localhost:3000", "http://[::1]:3000", "https://xn--bcher-kva.example"),
        *("https://*.example.org", "https://*.example.org:8443", "http://127.0.0.1:5173"),
    ],
)
def test_origins_and_one_label_wildcards_are_accepted(origin: str) -> None:
    assert problems(origin) == []


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        ("https://app.example.org/", "Write https://app.example.org."),
        ("https://App.Example.org", "Write https://app.example.org."),
        ("HTTPS://app.example.org:443/path?query", "Write https://app.example.org."),
        ("http://app.example.org:80", "Write http://app.example.org."),
        ("https://user:secret@app.example.org", "Write https://app.example.org."),
        ("https://bücher.example", "Write https://xn--bcher-kva.example."),
        ("null", "Remove it."),
        ("app.example.org", "must look like"),
        ("//app.example.org", "must look like"),
        ("ftp://app.example.org", "must look like"),
        ("https://*", "must look like"),
        ("https://*.org", "must look like"),
        ("https://*example.org", "must look like"),
        ("https://app.*.example.org", "must look like"),
        ("https://*.*.example.org", "must look like"),
        (r"https://.*\.example\.org", "must look like"),
        ("https://(a|b).example.org", "must look like"),
        ("https://app.example.org:99999", "must look like"),
    ],
)
def test_other_entries_are_rejected_with_advice(origin: str, advice: str) -> None:
    (problem,) = problems(origin)

    assert problem.startswith("CORS_ORIGINS: ")
    assert advice in problem
