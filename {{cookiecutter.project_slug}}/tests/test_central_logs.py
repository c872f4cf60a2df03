"""What gathers the log fits what writes it; the images themselves are not run here."""

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
    found: dict[str, dict[str, Any]] = read("compose.yaml")["services"]
    return found


@pytest.mark.req("O8")
def test_docker_writes_the_names_that_the_gatherer_reads_on_the_lines_of_every_container(
    services: dict[str, dict[str, Any]],
) -> None:
    wanted = set(re.findall(r'attrs\."([^"]+)"', ALLOY))

    assert wanted == {f"com.docker.compose.{name}" for name in ("project", "service", "container-number")}
    for name, service in services.items():
        assert service["logging"]["driver"] == "json-file", name
        assert set(service["logging"]["options"]["labels"].split(",")) == wanted, name


@pytest.mark.req("O8")
def test_lines_are_sent_and_looked_up_where_loki_listens() -> None:
    port = read("deploy/loki/loki.yaml")["server"]["http_listen_port"]
    (source,) = read("deploy/grafana/provisioning/datasources/loki.yaml")["datasources"]

    assert f'"http://loki:{port}/loki/api/v1/push"' in ALLOY
    assert source["url"] == f"http://loki:{port}"


@pytest.mark.req("O8")
def test_only_values_of_which_there_are_few_are_labels() -> None:
    labels = set(re.findall(r"(\w+) *=", " ".join(re.findall(r"stage\.labels \{\s*values = \{(.*?)\}", ALLOY))))
    beside = set(re.findall(r"(\w+) *=", *re.findall(r"stage\.structured_metadata \{\s*values = \{(.*?)\}", ALLOY)))

    assert labels == {"project", "service", "instance", "level"}
    assert beside == {"request_id", "trace_id", "task_id"}
    assert read("deploy/loki/loki.yaml")["limits_config"]["allow_structured_metadata"]


@pytest.mark.req("O8")
def test_the_gatherer_reads_files_and_nothing_holds_dockers_socket(services: dict[str, dict[str, Any]]) -> None:
    for name in ("loki", "alloy"):
        service = services[name]
        assert service["profiles"] == ["monitoring"]
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        assert (service["read_only"], service["cap_drop"], "ports" in service) == (True, ["ALL"], False)
        assert {"healthcheck", "logging", "deploy"} <= service.keys()
        assert [mount for mount in service["volumes"] if mount.startswith("./") and not mount.endswith(":ro")] == []
    assert "${DOCKER_DATA:-/var/lib/docker}/containers:/var/lib/docker/containers:ro" in services["alloy"]["volumes"]
    assert "docker.sock" not in (ROOT / "compose.yaml").read_text(encoding="utf-8")
