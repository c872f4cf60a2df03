"""The configuration of Alloy and Loki fits compose.yaml; the images do not run here."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.environments import ROOT

ALLOY = (ROOT / "deploy" / "alloy" / "config.alloy").read_text(encoding="utf-8")


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = read("compose.yaml")["services"]
    return services


@pytest.mark.req("O8")
def test_docker_adds_the_labels_that_alloy_reads(services: dict[str, dict[str, Any]]) -> None:
    labels = set(re.findall(r'attrs\."([^"]+)"', ALLOY))

    assert labels == {f"com.docker.compose.{name}" for name in ("project", "service", "container-number")}
    for name, service in services.items():
        assert service["logging"]["driver"] == "json-file", name
        assert set(service["logging"]["options"]["labels"].split(",")) == labels, name


@pytest.mark.req("O8")
def test_alloy_and_grafana_use_the_port_of_loki() -> None:
    port = read("deploy/loki/loki.yaml")["server"]["http_listen_port"]
    (source,) = read("deploy/grafana/provisioning/datasources/loki.yaml")["datasources"]

    assert f'"http://loki:{port}/loki/api/v1/push"' in ALLOY
    assert source["url"] == f"http://loki:{port}"


@pytest.mark.req("O8")
def test_ids_are_structured_metadata_instead_of_labels() -> None:
    labels = set(re.findall(r"(\w+) *=", " ".join(re.findall(r"stage\.labels \{\s*values = \{(.*?)\}", ALLOY))))
    metadata = set(re.findall(r"(\w+) *=", *re.findall(r"stage\.structured_metadata \{\s*values = \{(.*?)\}", ALLOY)))

    assert labels == {"project", "service", "instance", "level"}
    assert metadata == {"request_id", "trace_id", "task_id"}
    assert read("deploy/loki/loki.yaml")["limits_config"]["allow_structured_metadata"]


@pytest.mark.req("O8")
def test_alloy_reads_log_files_instead_of_the_docker_socket(services: dict[str, dict[str, Any]]) -> None:
    for name in ("loki", "alloy"):
        service = services[name]
        assert service["profiles"] == ["monitoring"]
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        assert (service["read_only"], service["cap_drop"], "ports" in service) == (True, ["ALL"], False)
        assert {"healthcheck", "logging", "deploy"} <= service.keys()
        assert [mount for mount in service["volumes"] if mount.startswith("./") and not mount.endswith(":ro")] == []
    assert "${DOCKER_DATA:-/var/lib/docker}/containers:/var/lib/docker/containers:ro" in services["alloy"]["volumes"]
    assert "docker.sock" not in (ROOT / "compose.yaml").read_text(encoding="utf-8")
