"""What people may ask of a service that knows them: to be told, and to be forgotten. And the keys of what is secret."""

from __future__ import annotations

from flask import Flask

from app import api, boot
from app.privacy import commands, tasks, views
from app.worker import register_schedule


def init_app(app: Flask) -> None:
    """Serve the routes, look after keys and tombstones, and have `flask init-db` erase who came back."""
    api.register(app, views.blueprint)
    app.add_url_rule("/api/user/data-export", "data_export", views.data_export)
    app.cli.add_command(commands.keys)
    app.cli.add_command(commands.erasures)
    register_schedule(app, "privacy.keep_tombstones", tasks.MINUTE_SECONDS)
    register_schedule(app, "privacy.reapply_erasures", tasks.HOUR_SECONDS)
    register_schedule(app, "privacy.check_keys", tasks.WEEK_SECONDS)
    boot.register_seed(app, commands.reapply_erasures)
    boot.register_seed(app, commands.note_key)
