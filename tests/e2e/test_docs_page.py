"""The documentation page, in a real browser that reaches nothing but the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.browser import Browser
from e2e.client import Client
from e2e.engine import RECORDS, inspect
from e2e.stack import Stack

PROXY = "nginx"
SERVICE = f"http://{PROXY}:8080"
VERSIONS = ("v1", "v2")


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[Browser]:
    """A browser beside the proxy."""
    networks = inspect(stack.containers(PROXY)[0], "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}")
    browser = Browser(networks.split()[0], PROXY)
    yield browser
    browser.close()


@pytest.mark.req("A7", "S10")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_page_shows_every_operation_of_a_version(browser: Browser, api: Client, version: str) -> None:
    specification = api.get(f"/api/{version}/openapi.json").json()

    visit = browser.visit(f"{SERVICE}/docs?version={version}#/locations/locations_save")

    assert [path for path in specification["paths"] if f'data-path="{path}"' not in visit.page] == []
    assert 'id="operations-locations-locations_save"' in visit.page
    assert "Radius of certainty" not in visit.page  # of a schema, which opens when somebody asks for it
    assert "52.5163" in visit.page  # of the example, which stands in the operation that the address names
    assert visit.complaints == []
    assert set(visit.requests.values()) == {"HTTP/1.1 200 OK"}
    assert {url.split("/")[2] for url in visit.requests} == {f"{PROXY}:8080"}
    assert f"{SERVICE}/api/{version}/openapi.json" in visit.requests
    browser.picture(f"{SERVICE}/docs?version={version}", RECORDS / f"docs-{version}.png")


@pytest.mark.req("S10")
def test_a_script_in_the_page_and_a_picture_from_elsewhere_would_be_noticed(browser: Browser, api: Client) -> None:
    policy = api.get("/docs").headers["Content-Security-Policy"]
    page = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>as it was</title>'
        "<script>document.title = 'changed'</script><img src='http://outside.example/picture.png'>"
    )

    visit = browser.visit(browser.write("control.html", page))

    assert "<title>as it was</title>" in visit.page
    assert any("inline script" in complaint for complaint in visit.complaints)
    assert any("outside.example" in complaint for complaint in visit.complaints)


def test_a_request_that_fails_would_be_noticed(browser: Browser) -> None:
    page = f"<img src='{SERVICE}/docs/nothing.png'><img src='http://outside.example/picture.png'>"

    visit = browser.visit(browser.write("failing.html", page))

    assert visit.requests[f"{SERVICE}/docs/nothing.png"].startswith("HTTP/1.1 404")
    assert visit.requests["http://outside.example/picture.png"].startswith("error")
