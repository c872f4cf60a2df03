"""Locations: the current and past positions of users."""

from __future__ import annotations

from app.locations import service
from app.locations.problem_types import PROBLEM_TYPES
from app.locations.records import RECORDS
from app.locations.settings import LocationsSettings
from app.locations.views import ACTIVE_USERS, blueprint
from app.platform.feature import Feature
from app.platform.personal_data import PersonalDataSource

FEATURE = Feature(
    name="locations",
    blueprints=(blueprint,),
    settings=LocationsSettings,
    problem_types=PROBLEM_TYPES,
    scopes=("locations:read", "locations:write"),
    personal_data=PersonalDataSource(("user_locations", "location_sharing"), service.export, service.erase),
    records=RECORDS,
    personal_fields=("latitude", "longitude"),
    statistics=service.count_recent,
    user_caches=(ACTIVE_USERS,),
)
