"""Settings kept in HashiCorp Vault (KV version 2), over those of the environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3


def with_vault(environ: Mapping[str, str], default_path: str) -> Mapping[str, str]:
    """The environment, overlaid with what Vault holds under `VAULT_PATH` (mount/path), or else `default_path`.

    Without `VAULT_ADDR` this is the environment as it is. A Vault that does not answer leaves the environment in force
    and is logged: settings that only Vault holds are then reported as missing, by name, before anything is served.
    """
    if not environ.get("VAULT_ADDR"):
        return environ
    try:
        return {**environ, **_read(environ, default_path)}
    except Exception as error:  # noqa: BLE001 - whatever goes wrong out there, the boot check names what is then missing
        logger.warning("Vault gave no settings; those of the environment hold: %s", error)
        return environ


def _read(environ: Mapping[str, str], default_path: str) -> dict[str, str]:
    import hvac  # noqa: PLC0415 - a tenth of a second that a service without Vault does not pay

    client = hvac.Client(url=environ["VAULT_ADDR"], token=_value(environ, "VAULT_TOKEN"), timeout=TIMEOUT_SECONDS)
    if not client.token:
        client.auth.approle.login(_value(environ, "VAULT_ROLE_ID"), _value(environ, "VAULT_SECRET_ID"))
    mount, _, path = (environ.get("VAULT_PATH") or default_path).partition("/")
    answer = client.secrets.kv.v2.read_secret_version(path=path, mount_point=mount, raise_on_deleted_version=True)
    return {name: str(value) for name, value in answer["data"]["data"].items()}


def _value(environ: Mapping[str, str], name: str) -> str | None:
    if path := environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name)
