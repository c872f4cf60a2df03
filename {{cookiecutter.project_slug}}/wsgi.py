"""What Gunicorn (`wsgi:app`), Celery (`wsgi:celery`) and the `flask` command load."""

from __future__ import annotations

import sys

from app.environment import SettingsError
from app.worker import get_flask_app

try:
    app = get_flask_app()
except SettingsError as error:
    sys.exit(str(error))  # every problem in words, instead of a traceback

celery = app.extensions["celery"]
