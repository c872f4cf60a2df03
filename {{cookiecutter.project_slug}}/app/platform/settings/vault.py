"""Settings from HashiCorp Vault (KV version 2), which override those of the environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3


def overlay_vault(environ: Mapping[str, str], default_path: str) -> Mapping[str, str]:
    """Return the environment, overridden by the values in Vault at `VAULT_PATH` (mount/path; default `default_path`).

    Without `VAULT_ADDR`, returns the environment unchanged. If Vault fails, logs a warning and returns the environment
    unchanged: before the service listens, the check of the settings reports those that are only in Vault as missing.
    """
    if not environ.get("VAULT_ADDR"):
        return environ
    try:
        return {**environ, **_read(environ, default_path)}
    except Exception as error:  # noqa: BLE001 - for any error, the check of the settings reports what is missing
        # What Vault answers is safe to log; other texts can contain the address or the token.
        reason = error if type(error).__module__.startswith("hvac.") else type(error).__name__
        logger.warning("cannot read settings from Vault, using the environment: %s", reason)
        return environ


def _read(environ: Mapping[str, str], default_path: str) -> dict[str, str]:
    import hvac  # noqa: PLC0415 - takes 0.1 s; not needed without Vault

    client = hvac.Client(url=environ["VAULT_ADDR"], token=_value(environ, "VAULT_TOKEN"), timeout=TIMEOUT_SECONDS)
    if not client.token:
        client.auth.approle.login(_value(environ, "VAULT_ROLE_ID"), _value(environ, "VAULT_SECRET_ID"))
    mount, _, path = (environ.get("VAULT_PATH") or default_path).partition("/")
    response = client.secrets.kv.v2.read_secret_version(path=path, mount_point=mount, raise_on_deleted_version=True)
    return {name: str(value) for name, value in response["data"]["data"].items()}


def _value(environ: Mapping[str, str], name: str) -> str | None:
    if path := environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name, "").strip() or None
