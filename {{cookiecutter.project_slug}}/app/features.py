"""The features of this service. One line per feature: add the line with the folder, remove it with the folder."""

from __future__ import annotations

from importlib import import_module

from app.platform.feature import Feature

PACKAGES = (  # the order of the API documentation and of `flask init-db`
    "audit",
    "accounts",
    "api_keys",
    "locations",
    "data_files",
    "admin",
    "privacy",
    "idempotency",
    "encryption_keys",
)

FEATURES: tuple[Feature, ...] = tuple(import_module(f"app.{package}").FEATURE for package in PACKAGES)
FEATURE_SETTINGS = tuple(feature.settings for feature in FEATURES if feature.settings)
PERSONAL_FIELDS = tuple(name for feature in FEATURES for name in feature.personal_fields)
