"""Spans of SQL statements."""

from __future__ import annotations

from typing import Any

from flask import Flask
from opentelemetry import trace
from sqlalchemy import Engine

from app.platform.components import platform_of
from app.platform.database.statement_hooks import Execute, wrap
from app.platform.telemetry.tracing import Tracing, is_recording


def trace_engine(app: Flask, engine: Engine) -> None:
    """Create a span for each statement of this engine, without its parameters, if the app is traced.

    The instrumentor would trace every engine, including the one of the probes. A statement in an unsampled request
    costs a microsecond; the instrumentor's listeners cost 40.
    """
    tracing = platform_of(app).find(Tracing)
    if tracing is None:
        return
    tracer = tracing.provider.get_tracer(__name__)
    database = {"db.system.name": engine.dialect.name, "db.namespace": engine.url.database or ""}

    def traced(execute: Execute) -> Execute:
        def run(cursor: object, statement: str, *rest: Any) -> None:
            if not is_recording():
                execute(cursor, statement, *rest)
                return
            operation = statement.split(maxsplit=1)[0].upper()
            attributes = {**database, "db.operation.name": operation, "db.query.text": statement}
            name = f"{operation} {database['db.namespace']}"
            with tracer.start_as_current_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes):
                execute(cursor, statement, *rest)

        return run

    wrap(engine, traced)
