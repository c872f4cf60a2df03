"""A feature declares itself to the platform in one `Feature` object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import click
from flask import Flask

from app.platform import personal_data, statistics
from app.platform.api.blueprints import Blueprint, register_blueprint
from app.platform.operations.startup import Seed, register_seed
from app.platform.personal_data import PersonalDataSource, Record
from app.platform.redis.cache import Cache, register_user_caches
from app.platform.security import credentials
from app.platform.security.credentials import RevokeCredentials
from app.platform.settings.compose import ComposeSettings
from app.platform.settings.declarations import Settings
from app.platform.settings.fields import declarations
from app.platform.statistics import Count
from app.platform.tasks.celery import register_schedule
from app.platform.telemetry.alerts import Alert
from app.platform.web import problem_types
from app.platform.web.problem_types import PLATFORM_TYPES, ProblemType

Names = dict[tuple[str, str], list[str]]  # the owners of each name, by kind and name

FEATURE_NAME = "Feature name"


@dataclass(frozen=True, kw_only=True)
class Feature:
    """Everything that the platform needs from one feature; `app.features.FEATURES` lists all features.

    `name`: the name of its package in `app/`. `blueprints`: its routes, under every API version. `commands`: its
    `flask` commands. `settings`: a settings class, read and checked with those of the platform. `scopes`: what an API
    key may be created for. `schedules`: seconds between two runs, by task name. `personal_data`: its tables, their
    export and erasure; `export_name`: its member in an export, if that is not the name. `records`: its lines of the
    record of processing. `personal_fields`: exact names whose values are redacted in logs, traces and error
    reports. `request_headers`: headers that pages of other origins may send. `statistics`: figures for admins.
    `seeds`: what `flask init-db` runs. `alerts`: Prometheus alerts besides those of the objectives.
    `problem_types`: the types of the errors that its routes raise. `revoke_credentials`: revokes what the feature
    issued in the name of a user, when the password changes or all sessions end. `user_caches`: caches that show users
    to others, which are invalidated when a user is restricted, suspended or erased. `init_app`: anything else.
    """

    name: str
    blueprints: tuple[Blueprint, ...] = ()
    settings: type | None = None
    scopes: tuple[str, ...] = ()
    schedules: Mapping[str, float] = field(default_factory=dict)
    personal_data: PersonalDataSource | None = None
    export_name: str = ""
    records: tuple[Record, ...] = ()
    personal_fields: tuple[str, ...] = ()
    request_headers: tuple[str, ...] = ()
    statistics: Count | None = None
    commands: tuple[click.Command, ...] = ()
    seeds: tuple[Seed, ...] = ()
    alerts: tuple[Alert, ...] = ()
    problem_types: tuple[ProblemType, ...] = ()
    revoke_credentials: RevokeCredentials | None = None
    user_caches: tuple[Cache, ...] = ()
    init_app: Callable[[Flask], None] | None = None


def register_features(app: Flask, features: Sequence[Feature]) -> None:
    """Register everything that the features declare; raises `ValueError` with every name that is declared twice."""
    if problems := check_features(features, app.cli.commands, app.extensions["celery"].conf.beat_schedule):
        raise ValueError("\n".join(problems))
    for feature in features:
        _register_feature(app, feature)


def check_features(
    features: Iterable[Feature], platform_commands: Iterable[str] = (), platform_schedules: Iterable[str] = ()
) -> list[str]:
    """Return a problem for every name that is declared twice: without this check, the last declaration applies."""
    names: Names = defaultdict(list)
    for command in platform_commands:
        names["Command", command].append("the platform")
    for task in platform_schedules:
        names["Schedule", task].append("the platform")
    for problem_type in PLATFORM_TYPES:
        names["Problem type", problem_type.name].append("the platform")
    _add_settings(names, Settings)
    _add_settings(names, ComposeSettings)
    for feature in features:
        for kind, name in _declared_names(feature):
            names[kind, name].append(feature.name)
        if feature.settings:
            _add_settings(names, feature.settings)
    return [_problem(kind, name, owners) for (kind, name), owners in names.items() if len(owners) > 1]


def _add_settings(names: Names, settings_class: type) -> None:
    for name in declarations(settings_class):
        names["Setting", name].append(settings_class.__name__)


def _declared_names(feature: Feature) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of everything whose name must be unique, except settings."""
    yield FEATURE_NAME, feature.name
    if feature.personal_data:
        yield "Export member", feature.export_name or feature.name
    yield from (("Scope", scope) for scope in feature.scopes)
    yield from (("Schedule", task) for task in feature.schedules)
    yield from (("Problem type", problem_type.name) for problem_type in feature.problem_types)
    yield from (("Command", command.name or "") for command in feature.commands)


def _problem(kind: str, name: str, owners: list[str]) -> str:
    by = "" if kind == FEATURE_NAME else f", by {' and '.join(dict.fromkeys(owners))}"
    return f"{kind} {name!r} is declared {len(owners)} times{by}: rename one of them."


def _register_feature(app: Flask, feature: Feature) -> None:
    """Register everything that a feature declares."""
    problem_types.register(app, feature.problem_types)
    for blueprint in feature.blueprints:
        register_blueprint(app, blueprint)
    for command in feature.commands:
        app.cli.add_command(command)
    for task, seconds in feature.schedules.items():
        register_schedule(app, task, seconds)
    for seed in feature.seeds:
        register_seed(app, seed)
    if feature.personal_data:
        personal_data.register(app, feature.export_name or feature.name, feature.personal_data)
    if feature.statistics:
        statistics.register(app, feature.name, feature.statistics)
    if feature.revoke_credentials:
        credentials.register(app, feature.revoke_credentials)
    register_user_caches(app, feature.user_caches)
    if feature.init_app:
        feature.init_app(app)
