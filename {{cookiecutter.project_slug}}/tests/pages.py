"""Reads paginated lists."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient


def all_items(client: FlaskClient, path: str, headers: dict[str, str], **query: Any) -> list[Any]:
    """Follow the cursor of a list from page to page; return the items of all pages."""
    items: list[Any] = []
    cursor = None
    while True:
        parameters = query | ({"cursor": cursor} if cursor else {})
        body = client.get(path, query_string=parameters, headers=headers).get_json()
        items += body["items"]
        if (cursor := body["next"]) is None:
            return items
