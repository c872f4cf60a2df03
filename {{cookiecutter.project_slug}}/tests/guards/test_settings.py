"""Settings are declared once, and every secret is declared as secret."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from marshmallow import fields

from app.features import FEATURE_SETTINGS
from app.platform.settings.compose import ComposeSettings
from app.platform.settings.declarations import Settings
from app.platform.settings.fields import (
    Declaration,
    csv_list,
    declarations,
    integer,
    number,
    rate_limit,
    secret_values,
    text,
    url,
)
from app.platform.settings.secret_strength import secret_problem
from tests.environments import ROOT
from tests.script_modules import import_script

DECLARATIONS = {
    name: declaration
    for settings_class in (Settings, *FEATURE_SETTINGS, ComposeSettings)
    for name, declaration in declarations(settings_class).items()
}
SECRET_WORDS = re.compile(
    "PASS(WORD|WD|PHRASE|CODE)?(_|$)|PWD|SECRET|TOKEN|KEY|CREDENTIAL|SALT|DSN|WEBHOOK|PRIVATE|SIGNATURE|SIGNING|AUTH"
)


@pytest.fixture(scope="module")
def document_settings() -> ModuleType:
    return import_script("document_settings")


@pytest.mark.req("S2")
def test_example_and_reference_match_the_declarations(document_settings: ModuleType) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    reference = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert example == document_settings.example(), "run: make settings"
    assert reference == document_settings.reference(), "run: make settings"


@pytest.mark.req("S2")
def test_example_names_every_setting_once() -> None:
    names = re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(names) == sorted(DECLARATIONS), "run: make settings"


@pytest.mark.req("S2")
def test_every_number_has_bounds() -> None:
    unbounded = [
        name
        for name, declaration in DECLARATIONS.items()
        if type(declaration.default) in (int, float) and " to " not in declaration.accepts
    ]

    assert not unbounded, "declare them with integer() or number()"


def may_be_secret(name: str, declaration: Declaration) -> bool:
    """Whether the name contains the word of a secret; durations and rate limits are not secret, texts may be."""
    is_duration = name.endswith("_SECONDS") and isinstance(declaration.field, fields.Number)
    is_rate_limit = name.startswith("RATELIMIT_") and pattern_of(declaration) == RATE_LIMIT_PATTERN
    return bool(SECRET_WORDS.search(name)) and not is_duration and not is_rate_limit


def pattern_of(declaration: Declaration) -> re.Pattern[str] | None:
    """Return the pattern of a text, or None."""
    return getattr(declaration.field.validate, "regex", None)


RATE_LIMIT_PATTERN = pattern_of(rate_limit("1/day", "An example.").metadata["declaration"])


@dataclass(frozen=True, kw_only=True)
class SecretSettings:
    """Settings that may be secret."""

    SMTP_PASSPHRASE: str | None = text(None, "A secret.")
    LEGACY_PASSWD: str | None = text(None, "A secret.")
    CLOUD_CREDENTIALS: str | None = text(None, "A secret.")
    LDAP_PWD: str | None = text(None, "A secret.")
    HASH_SALT: str | None = text(None, "A secret.")
    CAPTCHA_DSN: str | None = url(("https",), "A secret.")
    SMS_PASS: str | None = text(None, "A secret.")
    PUSH_PRIVATE_PEM: str | None = text(None, "A secret.")
    LDAP_AUTH: str | None = text(None, "A secret.")
    TOKEN_SECONDS: str | None = text(None, "A text with the name of a duration.")
    RATELIMIT_TOKEN: str | None = text(None, "A text with the name of a rate limit.")


@dataclass(frozen=True, kw_only=True)
class SecretsOfEveryKind:
    """One secret of each type."""

    PLAIN: str | None = text(None, "A secret.", secret=True)
    LISTED: tuple[str, ...] = csv_list("Secrets.", secret=True)
    LINK: str | None = url(("https",), "A secret.", secret=True)


@dataclass(frozen=True, kw_only=True)
class PublicSettings:
    """Settings that are not secret."""

    PAGE_SIZE: int = integer(10, 1, 100, "A number.")
    TOKEN_SECONDS: int = integer(10, 1, 100, "A duration.")
    SECRET_SECONDS: float = number(10, 1, 100, "A duration.")
    RATELIMIT_FORGOT_PASSWORD: str = rate_limit("5/minute", "A rate limit.")


@pytest.mark.fault("F36")
@pytest.mark.req("S12")
def test_guard_recognizes_settings_that_may_be_secret() -> None:
    secret, public = declarations(SecretSettings), declarations(PublicSettings)

    assert [name for name, declaration in secret.items() if not may_be_secret(name, declaration)] == []
    assert [name for name, declaration in public.items() if may_be_secret(name, declaration)] == []


@pytest.mark.fault("F36")
@pytest.mark.req("S12")
def test_secrets_are_declared_secret() -> None:
    undeclared = [
        name
        for name, declaration in DECLARATIONS.items()
        if may_be_secret(name, declaration) and not declaration.secret and not declaration.public_because
    ]

    assert not undeclared, (
        "these settings are not redacted in logs: declare them with secret=True, or with public_because=REASON"
    )


@pytest.mark.fault("F36")
@pytest.mark.req("S2")
def test_documentation_says_where_to_put_every_secret(document_settings: ModuleType) -> None:
    example, reference = document_settings.example(), document_settings.reference()

    for name, declaration in DECLARATIONS.items():
        line = next(line for line in example.splitlines() if line.lstrip("#").startswith(f"{name}="))
        comment = example.splitlines()[example.splitlines().index(line) - 1]
        row = next(row for row in reference.splitlines() if row.startswith(f"| `{name}`"))
        assert ("(secret, " in comment) == declaration.secret, name
        assert (f"`{name}_FILE`" in row) == declaration.secret, name


@pytest.mark.fault("F36")
@pytest.mark.req("S12")
def test_declared_secrets_are_redacted() -> None:
    settings = SecretsOfEveryKind(
        PLAIN="plain-secret", LISTED=("first-secret", "second-secret"), LINK="https://hooks.example.org/secret"
    )

    assert set(secret_values(settings)) == {
        *("plain-secret", "first-secret", "second-secret", "https://hooks.example.org/secret")
    }


@pytest.mark.fault("F36")
@pytest.mark.req("T3")
def test_new_environment_contains_every_random_secret() -> None:
    make_env = subprocess.run(
        [sys.executable, "-I", ROOT / "scripts" / "make_env.py"], capture_output=True, text=True, check=True
    )
    filled = dict(line.split("=", 1) for line in make_env.stdout.splitlines() if re.match("[A-Z0-9_]+=.", line))

    strong = [name for name, declaration in DECLARATIONS.items() if declaration.strong]
    assert sorted(filled) == sorted(strong)
    assert [name for name, value in filled.items() if secret_problem(value)] == []


@pytest.mark.req("S2")
def test_environment_is_read_in_one_place() -> None:
    allowed = {
        Path("app/platform/settings/checks.py"),
        Path("app/platform/telemetry/multiprocess_metrics.py"),  # PROMETHEUS_MULTIPROC_DIR of the metrics library
    }
    readers = {
        path.relative_to(ROOT)
        for path in (ROOT / "app").rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    }

    assert readers <= allowed, "declare a setting: in the settings.py of a feature, or in app/platform/settings"


@pytest.mark.req("S4", "D2")
def test_only_migrations_create_tables_and_sqlite_is_no_fallback() -> None:
    for path in (ROOT / "app").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "create_all" not in text, path
        assert "import sqlite3" not in text, path
