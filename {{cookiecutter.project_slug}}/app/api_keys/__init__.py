"""API keys: programs call the API on behalf of a user."""

from __future__ import annotations

from flask import Flask

from app.api_keys import admin_views, service, views
from app.api_keys.problem_types import PROBLEM_TYPES
from app.api_keys.records import RECORDS
from app.api_keys.settings import ApiKeysSettings
from app.platform.database.base import db
from app.platform.feature import Feature
from app.platform.personal_data import PersonalDataSource
from app.platform.security import access
from app.platform.security.access import ApiKeys


def _register_api_key_lookup(app: Flask) -> None:
    api_keys = ApiKeys(lambda key: service.authenticate(db.session(), key), service.is_well_formed)
    access.register_api_key_lookup(app, api_keys)


FEATURE = Feature(
    name="api_keys",
    blueprints=(views.blueprint, admin_views.blueprint),
    settings=ApiKeysSettings,
    problem_types=PROBLEM_TYPES,
    personal_data=PersonalDataSource(("api_keys",), service.export, service.erase),
    records=RECORDS,
    revoke_credentials=service.revoke_all,
    init_app=_register_api_key_lookup,
)
