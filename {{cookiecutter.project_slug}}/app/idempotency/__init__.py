"""Idempotency keys: the stored answers of requests that were sent with the header `Idempotency-Key`."""

from __future__ import annotations

from flask import Flask

from app.idempotency import service, tasks
from app.idempotency.records import RECORDS
from app.idempotency.settings import IdempotencySettings
from app.platform.api.idempotency import IdempotencyStore, register_store
from app.platform.feature import Feature
from app.platform.personal_data import PersonalDataSource
from app.platform.settings.declarations import settings_of


def _register_store(app: Flask) -> None:
    seconds = settings_of(app, IdempotencySettings).IDEMPOTENCY_KEY_SECONDS
    store = service.AnswerStore(seconds)
    register_store(app, IdempotencyStore(store.find, store.save))


FEATURE = Feature(
    name="idempotency",
    settings=IdempotencySettings,
    schedules={"idempotency.delete_expired": tasks.HOUR_SECONDS},
    personal_data=PersonalDataSource(("idempotency_keys",), service.export, service.erase),
    records=RECORDS,
    init_app=_register_store,
)
