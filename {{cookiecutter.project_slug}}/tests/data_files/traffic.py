"""Requests of data files for the soak test (see tests/soak/traffic.py)."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import requests

from tests.data_files.factory import FILES
from tests.soak.client import TIMEOUT_SECONDS, Client, get

CSV = b"name,age\n" + b"Ada,36\n" * 200
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'


def upload_and_delete(client: Client) -> None:
    """Upload a file, read it, sometimes test it, and delete it."""
    response = client.send("POST", FILES, 201, files={"file": ("people.csv", CSV)})
    if response.status_code != requests.codes.created:
        return
    file = response.json()
    client.send("GET", f"{FILES}/{file['id']}/content", 200)
    if client.sent % 10 == 0:
        client.send("POST", f"{FILES}/{file['id']}/tests", 202, json={})
    client.send("DELETE", f"{FILES}/{file['id']}", 204)


def abort_upload(client: Client) -> None:
    """Close the connection in the middle of an upload."""
    address = urlsplit(client.url)
    headers = {
        "Host": address.netloc,
        **client.account.headers,
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": "100000",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((address.hostname or "", address.port or 80), TIMEOUT_SECONDS) as connection:
        connection.sendall(f"POST {FILES} HTTP/1.1\r\n{head}\r\n".encode() + PART + CSV)
    client.sent += 1


TRAFFIC = (
    (3, get(FILES)),
    (4, upload_and_delete),
    (0.5, abort_upload),
    (2, get(f"{FILES}/999999999", 404)),
)
