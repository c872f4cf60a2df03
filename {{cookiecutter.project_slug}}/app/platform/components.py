"""The platform object: every component of one app, found by its type."""

from __future__ import annotations

from typing import TypeVar

from flask import Flask

Component = TypeVar("Component")


class Platform:
    """The components of one app, at most one of each type, and what the features declare for lower layers.

    A module adds its component in `init_app` and offers a typed accessor such as `storage_of(app)`.
    """

    def __init__(
        self,
        *,
        personal_fields: tuple[str, ...] = (),
        request_headers: tuple[str, ...] = (),
        scopes: tuple[str, ...] = (),
    ) -> None:
        self.personal_fields = personal_fields  # names whose values are redacted in logs, traces and error reports
        self.request_headers = request_headers  # headers that pages of other origins may send (CORS)
        self.scopes = scopes  # what an API key may be created for
        self._components: dict[type, object] = {}

    def add(self, component: object) -> None:
        """Add a component; replaces one of the same type."""
        self._components[type(component)] = component

    def find(self, kind: type[Component]) -> Component | None:
        """Return the component of this type, or None."""
        component = self._components.get(kind)
        return component if isinstance(component, kind) else None

    def get(self, kind: type[Component]) -> Component:
        """Return the component of this type; raises `LookupError` if its module is not set up."""
        component = self.find(kind)
        if component is None:
            raise LookupError(f"This app has no {kind.__name__}: call init_app of {kind.__module__} first.")
        return component

    def get_or_create(self, kind: type[Component]) -> Component:
        """Return the component of this type; creates an empty one at the first call."""
        if self.find(kind) is None:
            self.add(kind())
        return self.get(kind)


def platform_of(app: Flask) -> Platform:
    """Return the platform object of an app."""
    platform: Platform = app.extensions["platform"]
    return platform
