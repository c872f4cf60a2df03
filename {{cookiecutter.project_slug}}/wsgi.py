"""Entry point of Gunicorn (`wsgi:app`), Celery (`wsgi:celery`) and the `flask` command."""

from __future__ import annotations

import sys

from app.platform.settings.fields import SettingsError
from app.platform.tasks.celery import get_flask_app

try:
    app = get_flask_app()
except SettingsError as error:
    sys.exit(str(error))  # the list of problems, without a traceback

celery = app.extensions["celery"]
