"""One normal form of e-mail addresses decides which account an address has, and where mail goes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import service, tasks
from app.accounts.email_addresses import LITERAL, QUOTED, InvalidEmail, normalize_email
from app.accounts.models import User
from tests.accounts.factory import PASSWORD, make_user
from tests.servers.smtp import Mailbox, start_smtp

REGISTER, LOGIN = "/api/v1/auth/register", "/api/v1/auth/login"

NORMAL_FORMS = [
    ("Ann@Example.ORG", "ann@example.org"),
    ("ann@bücher.example", "ann@xn--bcher-kva.example"),
    ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
    (unicodedata.normalize("NFD", "ann@bücher.example"), "ann@xn--bcher-kva.example"),
    ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
    ("ann@straße.example", "ann@xn--strae-oqa.example"),
    ("ann@\uff45xample.org", "ann@example.org"),  # a full-width e
    ("ann@example。org", "ann@example.org"),
    ("ann@почта.рф", "ann@xn--80a1acny.xn--p1ai"),
    ("ÉLODIE@example.org", "élodie@example.org"),
    (unicodedata.normalize("NFD", "élodie@example.org"), "élodie@example.org"),
    ("straße@example.org", "straße@example.org"),  # not strasse, another mailbox
    ("STRASSE@example.org", "strasse@example.org"),
    ("İpek@example.org", "İpek@example.org"),
    ("ΔΣ@example.org", "δσ@example.org"),
    ("\u212aelvin@example.org", "kelvin@example.org"),  # NFC makes a K of the sign for kelvin
]
REJECTED = [
    "ann",
    "@example.org",
    "ann@",
    "ann@bücher..example",
    "ann@xn--\u00fc.example",
    "ann@xn--zzzzzzz-.example",
    "ann@\u202eexample.org",
    "ann\u200b@example.org",
    "ann\u00ad@example.org",
    "ann\u3164@example.org",
    "ann\ufe0f@example.org",
    "ann\u0000@example.org",
    "ann@exam\u200dple.org",
    "ann@\ud800.example",
    '"ann"@example.org',
    '"ann b"@example.org',
    "ann@[127.0.0.1]",
    "ann@[IPv6:::1]",
    f"{'a' * 65}@example.org",
    f"{'é' * 33}@example.org",
    f"ann@{'a' * 300}.example",
    f"ann@{'ü.' * 100}example",
]


@pytest.mark.parametrize(("text", "normal"), NORMAL_FORMS)
@pytest.mark.fault("F22")
@pytest.mark.req("A2")
def test_address_has_one_normal_form(text: str, normal: str) -> None:
    assert normalize_email(text) == normal
    assert normalize_email(normal) == normal


@pytest.mark.parametrize("text", REJECTED, ids=ascii)
@pytest.mark.fault("F22")
def test_invalid_address_has_no_normal_form(text: str) -> None:
    with pytest.raises(InvalidEmail):
        normalize_email(text)


@given(st.text(st.characters(exclude_characters="@"), min_size=1, max_size=20), st.text(max_size=20))
@pytest.mark.fault("F22")
def test_normal_form_is_stable_and_visible(local_part: str, domain: str) -> None:
    try:
        normal = normalize_email(f"{local_part}@{domain}")
    except InvalidEmail:
        return

    assert normalize_email(normal) == normal
    assert normal.isprintable() or " " in normal or unicodedata.normalize("NFC", normal) == normal
    assert normal.rpartition("@")[2].isascii()


def register(client: FlaskClient, email: str) -> tuple[int, object]:
    response = client.post(REGISTER, json={"email": email, "password": PASSWORD})
    body = response.get_json()
    return response.status_code, body.get("email") or body["errors"]["email"]


@pytest.mark.fault("F22", "F66")
@pytest.mark.req("A2")
def test_every_form_of_a_domain_has_one_account(client: FlaskClient) -> None:
    forms = ["user7@bücher.example", unicodedata.normalize("NFD", "user7@bücher.example")]

    first, *others = [register(client, email) for email in [*forms, "user7@xn--bcher-kva.example"]]
    login = client.post(LOGIN, json={"email": forms[0], "password": PASSWORD})

    assert first == (201, "user7@xn--bcher-kva.example")
    assert others == [(409, ["Already taken."])] * 2
    assert login.status_code == 200


@pytest.mark.fault("F22")
def test_address_that_mail_cannot_reach_is_rejected(client: FlaskClient) -> None:
    status, reason = register(client, "élodie@example.org")

    assert status == 422
    assert reason == ["Must have only ASCII characters before the @: the service cannot send mail to others."]


@pytest.mark.parametrize(("email", "reason"), [('"user7"@example.org', QUOTED), ("user7@[127.0.0.1]", LITERAL)])
@pytest.mark.fault("F22")
@pytest.mark.req("A2")
def test_other_spelling_of_a_mailbox_gets_no_account(client: FlaskClient, email: str, reason: str) -> None:
    assert register(client, email) == (422, [reason])


@pytest.fixture
def international_client(app: Flask, environment: Mapping[str, str]) -> FlaskClient:
    """A client of an app whose mail server supports addresses in every script."""
    return create_app({**environment, "MAIL_SMTPUTF8": "true"}).test_client()


@pytest.mark.fault("F1")
@pytest.mark.req("A2", "D1")
def test_addresses_that_differ_in_accents_have_two_accounts(international_client: FlaskClient) -> None:
    emails = ["victim@gmail.example", "victim@xn--gmil-6na.example", "víctim@gmail.example", "사용자@gmail.example"]

    assert [register(international_client, email) for email in emails] == [(201, email) for email in emails]
    logins = [
        international_client.post(LOGIN, json={"email": email, "password": PASSWORD}).status_code for email in emails
    ]
    assert logins == [200] * 4


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with start_smtp() as mailbox:
        yield mailbox


@pytest.fixture
def mail_app(app: Flask, environment: Mapping[str, str], mailbox: Mailbox) -> Flask:
    """An app with a mail server, in which tasks run at once."""
    settings = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(mailbox.port), "MAIL_USE_TLS": "false"}
    return create_app({**environment, **settings})


@pytest.mark.fault("F22")
def test_mail_goes_to_the_ascii_form_of_the_domain(mail_app: Flask, mailbox: Mailbox, session: Session) -> None:
    make_user(session, email="user7@bücher.example")

    with mail_app.app_context():
        tasks.send_reset_mail("USER7@BÜCHER.example")

    assert mailbox.wait()["To"] == "user7@xn--bcher-kva.example"


@pytest.mark.fault("F1")
@pytest.mark.req("A2")
def test_mail_goes_to_stored_address_not_typed_one(
    mail_app: Flask, mailbox: Mailbox, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a database does whose collation ignores accents.
    monkeypatch.setattr(service, "find_by_email", lambda session, _: session.get(User, user.id))

    with mail_app.app_context():
        tasks.send_reset_mail("unknown@example.org")

    assert mailbox.wait()["To"] == user.email


@pytest.mark.fault("F1")
def test_every_table_compares_text_as_bytes_on_mariadb(app: Flask) -> None:
    tables = app.extensions["sqlalchemy"].metadata.sorted_tables

    for dialect in ("mysql", "mariadb"):
        options = {
            (table.name, table.kwargs[f"{dialect}_charset"], table.kwargs[f"{dialect}_collate"]) for table in tables
        }
        assert {(charset, collation) for _, charset, collation in options} == {("utf8mb4", "utf8mb4_bin")}
