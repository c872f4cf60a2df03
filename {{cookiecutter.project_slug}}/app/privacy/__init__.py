"""Privacy: the export of a user's data, and erasure that a restored backup does not undo."""

from __future__ import annotations

from flask import Flask

from app.platform.feature import Feature
from app.privacy import commands, reapply, tasks, views
from app.privacy.problem_types import PROBLEM_TYPES
from app.privacy.records import RECORDS
from app.privacy.schemas import EXPORT_HEADER
from app.privacy.settings import PrivacySettings


def _init_app(app: Flask) -> None:
    reapply.init_app(app)
    app.add_url_rule("/api/user/data-export", "data_export", views.data_export)


FEATURE = Feature(
    name="privacy",
    blueprints=(views.blueprint,),
    settings=PrivacySettings,
    records=RECORDS,
    problem_types=PROBLEM_TYPES,
    request_headers=(EXPORT_HEADER,),
    schedules={
        "privacy.sync_tombstones": tasks.MINUTE_SECONDS,
        "privacy.reapply_erasures": tasks.HOUR_SECONDS,
    },
    commands=(commands.erasures,),
    seeds=(commands.reapply_at_startup,),
    init_app=_init_app,
)
