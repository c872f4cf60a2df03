"""Spreadsheet formulas in file names and contents are plain text."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.data_files.factory import FILES, upload

pytestmark = pytest.mark.usefixtures("storage")


@pytest.mark.parametrize("first", "=+-@")
@pytest.mark.req("P3", "A4")
def test_file_name_and_content_may_be_formulas(client: FlaskClient, headers: dict[str, str], first: str) -> None:
    name, content = f"{first}1+1.csv", f"{first}a,b\n{first}1,2\n".encode()

    file = upload(client, headers, content, name).get_json()
    download = client.get(f"{FILES}/{file['id']}/content", headers=headers, buffered=True)
    exported = client.get("/api/v1/users/me/data-export", headers=headers, buffered=True)

    assert file["name"] == name
    assert (download.data, download.headers["Content-Disposition"][:10]) == (content, "attachment")
    assert f'"{name}"' in exported.text
