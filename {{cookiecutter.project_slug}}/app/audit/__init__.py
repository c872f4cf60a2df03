"""The audit log: who did what to which object, when, and from where."""

from __future__ import annotations

from flask import Flask

from app.audit import commands, refusals, service, tasks
from app.audit.alerts import ALERTS
from app.audit.records import RECORDS
from app.audit.settings import AuditSettings
from app.audit.views import blueprint
from app.platform.feature import Feature
from app.platform.personal_data import PersonalDataSource


def _init_app(app: Flask) -> None:
    commands.init_app(app)
    refusals.init_app(app)


FEATURE = Feature(
    name="audit",
    blueprints=(blueprint,),
    personal_data=PersonalDataSource(("audit_logs",), service.export),  # entries are never erased
    records=RECORDS,
    export_name="audit_logs",
    settings=AuditSettings,
    schedules={"audit.seal": tasks.SEAL_SECONDS, "audit.verify": tasks.VERIFY_SECONDS},
    commands=(commands.audit_log,),
    alerts=ALERTS,
    init_app=_init_app,
)
