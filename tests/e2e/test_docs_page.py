"""The API documentation page in a real browser that can connect to the proxy only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.browser import Browser
from e2e.client import Client
from e2e.engine import RESULTS, inspect
from e2e.stack import Stack

PROXY = "nginx"
HOST = "api.example.com:8080"  # the domain of a default bake, the only name that the service trusts
SERVICE = f"http://{HOST}"
VERSIONS = ("v1", "v2")


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[Browser]:
    """A browser on the proxy's network."""
    networks = inspect(stack.containers(PROXY)[0], "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}")
    browser = Browser(networks.split()[0], PROXY, HOST.partition(":")[0])
    yield browser
    browser.close()


@pytest.mark.req("A7", "S10")
@pytest.mark.parametrize("version", VERSIONS)
def test_page_shows_every_operation_of_a_version(browser: Browser, api: Client, version: str) -> None:
    specification = api.get(f"/api/{version}/openapi.json").json()

    load = browser.load(f"{SERVICE}/docs?version={version}#/locations/locations_save")

    assert [path for path in specification["paths"] if f'data-path="{path}"' not in load.html] == []
    assert 'id="operations-locations-locations_save"' in load.html
    assert "Radius of certainty" not in load.html  # in a schema, which is collapsed
    assert "52.5163" in load.html  # in the example of the operation that the URL opens
    assert load.console_errors == []
    assert set(load.requests.values()) == {"HTTP/1.1 200 OK"}
    assert {url.split("/")[2] for url in load.requests} == {HOST}
    assert f"{SERVICE}/api/{version}/openapi.json" in load.requests
    browser.screenshot(f"{SERVICE}/docs?version={version}", RESULTS / f"docs-{version}.png")


@pytest.mark.req("S10")
def test_inline_script_and_foreign_image_are_detected(browser: Browser, api: Client) -> None:
    policy = api.get("/docs").headers["Content-Security-Policy"]
    page = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>unchanged</title>'
        "<script>document.title = 'changed'</script><img src='http://outside.example/picture.png'>"
    )

    load = browser.load(browser.write("control.html", page))

    assert "<title>unchanged</title>" in load.html
    assert any("inline script" in error for error in load.console_errors)
    assert any("outside.example" in error for error in load.console_errors)


def test_failed_request_is_detected(browser: Browser) -> None:
    page = f"<img src='{SERVICE}/docs/nothing.png'><img src='http://outside.example/picture.png'>"

    load = browser.load(browser.write("failing.html", page))

    assert load.requests[f"{SERVICE}/docs/nothing.png"].startswith("HTTP/1.1 404")
    assert load.requests["http://outside.example/picture.png"].startswith("error")
