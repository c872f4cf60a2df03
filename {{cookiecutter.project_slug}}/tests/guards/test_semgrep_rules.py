"""Each rule of .semgrep.yaml fires on a planted violation, accepts the correct code, and says what to type."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.environments import ROOT

pytestmark = [pytest.mark.running, pytest.mark.semgrep]

RULES: Mapping[str, Any] = {
    rule["id"]: rule for rule in yaml.safe_load((ROOT / ".semgrep.yaml").read_text(encoding="utf-8"))["rules"]
}
IMPORTS = """
import functools, logging, os, socket, smtplib, ssl, subprocess, time, urllib.request
from contextlib import suppress
from datetime import UTC, date, datetime
import flask, hvac, requests, sqlalchemy as sa, yaml
from flask import current_app, request
logger = logging.getLogger(__name__)
"""
VIOLATIONS: Mapping[str, tuple[str, ...]] = {
    "table-outside-migrations": ("db.create_all()", "db.metadata.create_all(engine)", "Base.metadata.drop_all(engine)"),
    "sql-from-strings": (
        'sa.text(f"SELECT * FROM users WHERE id = {user_id}")',
        'sa.text("SELECT * FROM users WHERE id = %s" % user_id)',
        'sa.text("SELECT * FROM users WHERE id = " + user_id)',
        'sa.text("SELECT * FROM users WHERE id = {}".format(user_id))',
        'connection.execute(f"DELETE FROM {table}")',
        'connection.exec_driver_sql("DELETE FROM " + table)',
    ),
    "network-call-without-timeout": (
        "requests.get(url)",
        "requests.request('GET', url, headers=headers)",
        "session = requests.Session()\nsession.post(url, json={})",
        "urllib.request.urlopen(url)",
        "smtplib.SMTP(host, 25)",
        "socket.create_connection((host, 25))",
        "hvac.Client(url=url)",
    ),
    "naive-time": (
        "datetime.utcnow()",
        "datetime.now()",
        "datetime.today()",
        "datetime.fromtimestamp(1)",
        "date.today()",
    ),
    "request-or-app-at-import": (
        'NAME = current_app.config["SERVICE_NAME"]',
        "settings = settings_of(current_app)",
        "class Orders:\n    address = request.remote_addr",
        "flask.g.caller = None",
    ),
    "default-evaluated-at-import": (
        "def view(settings=settings_of(current_app)):\n    pass",
        "def view(order, *, address=request.remote_addr):\n    pass",
    ),
    "certificate-not-verified": (
        "requests.get(url, verify=False, timeout=5)",
        "hvac.Client(url=url, verify=False, timeout=5)",
        "ssl._create_unverified_context()",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        'Redis.from_url(url, ssl_cert_reqs="none")',
    ),
    "shell-command": ('subprocess.run("ls " + folder, shell=True)', 'os.system("ls")', 'os.popen("ls")'),
    "unsafe-deserialization": (
        "import pickle",
        "from pickle import loads",
        "yaml.load(text)",
        'config = {"broker_url": url, "accept_content": ["json", "pickle"]}',
    ),
    "request-body-in-log": (
        'def view():\n    logger.info("body %s", request.get_json())',
        "def view():\n    body = request.get_data()\n    logger.warning(f'rejected {body}')",
        'def view():\n    sent = dict(current_request().headers)\n    logger.error("no key", extra={"headers": sent})',
    ),
    "swallowed-exception": (
        "try:\n    save()\nexcept Exception:\n    pass",
        "try:\n    save()\nexcept Exception as error:\n    pass",
        "try:\n    save()\nexcept:\n    pass",
        "with suppress(Exception):\n    save()",
    ),
    "sleep-in-view": ("def view():\n    time.sleep(1)",),
    "unbounded-in-list": (
        "sa.select(Order).where(Order.id.in_(ids))",
        "sa.select(Order).where(Order.id.not_in(session.scalars(query).all()))",
    ),
    "unbounded-cache": (
        "@functools.cache\ndef name(order_id):\n    pass",
        "@functools.cache\ndef name(*labels):\n    pass",
        "@functools.lru_cache(maxsize=None)\ndef name(order_id):\n    pass",
        "view = functools.cache(view)",
    ),
}
CORRECT = """
sa.text("SELECT * FROM users WHERE id = :id").bindparams(id=user_id)
sa.select(Order).where(Order.id.in_(sa.select(Line.order_id).where(Line.id == 1)))
sa.select(Order).where(Order.status.in_(STATUSES), Order.kind.in_(["a", "b"]), Order.kind.in_(("a", "b")))
connection.execute(sa.select(Order))
requests.get(url, timeout=5)
urllib.request.urlopen(url, timeout=5)
smtplib.SMTP(host, 25, timeout=5)
datetime.now(UTC)
subprocess.run(["ls", folder], check=True)
yaml.safe_load(text)
settings = lambda: settings_of(current_app)

def view():
    settings = settings_of(current_app)
    body = request.get_json()
    logger.info("order saved", extra={"order_id": settings.order_id})
    try:
        save(body)
    except ValueError:
        pass

@functools.lru_cache(maxsize=1024)
def name(order_id):
    pass

@functools.cache
def head():
    pass
"""
INSTRUCTION = re.compile(r"(?:^|[.:] )(Type|Write|Bind|Pass|Move|Remove|Use|Log|Catch|State|Join)\b")


@dataclass(frozen=True)
class Finding:
    """A finding of a rule in the planted case `folder` (a rule id, or `correct`)."""

    rule: str
    folder: str
    case: int
    message: str


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """The findings in one run over all planted cases: each run takes seconds."""
    root = tmp_path_factory.mktemp("planted")
    for folder, cases in {**VIOLATIONS, "correct": (CORRECT,)}.items():
        for number, code in enumerate(cases):
            file = root / "app" / folder / str(number) / "views.py"
            file.parent.mkdir(parents=True)
            file.write_text(f"{IMPORTS}\n{code}\n", encoding="utf-8")
    program = Path(sys.prefix) / "semgrep" / "bin" / "semgrep"
    assert program.exists(), "run: make check-semgrep"
    command = [str(program), "scan", "--config", str(ROOT / ".semgrep.yaml"), "--metrics", "off"]
    command += ["--disable-version-check"]
    result = subprocess.run(
        [*command, "--no-git-ignore", "--json", "--quiet", "."], cwd=root, capture_output=True, text=True, check=False
    )
    report = json.loads(result.stdout)
    assert report["errors"] == []
    return [parsed(finding) for finding in report["results"]]


def parsed(finding: Mapping[str, Any]) -> Finding:
    folder, case = Path(finding["path"]).parts[-3:-1]
    return Finding(finding["check_id"].rpartition(".")[2], folder, int(case), finding["extra"]["message"])


def test_every_rule_has_a_planted_violation() -> None:
    assert VIOLATIONS.keys() == RULES.keys()


@pytest.mark.parametrize("rule", VIOLATIONS)
def test_rule_fires_on_every_planted_violation(findings: list[Finding], rule: str) -> None:
    found = {finding.case for finding in findings if finding.rule == rule == finding.folder}

    assert [code for case, code in enumerate(VIOLATIONS[rule]) if case not in found] == []


def test_rules_accept_correct_code(findings: list[Finding]) -> None:
    assert [finding for finding in findings if finding.folder == "correct"] == []


@pytest.mark.parametrize("rule", RULES)
def test_message_says_what_to_type(rule: str) -> None:
    assert INSTRUCTION.search(RULES[rule]["message"]), "begin one sentence with what to do"
