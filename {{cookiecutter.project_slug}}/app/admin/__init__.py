"""Statistics for admins."""

from __future__ import annotations

from app.admin.settings import AdminSettings
from app.admin.views import blueprint
from app.platform.feature import Feature

FEATURE = Feature(name="admin", blueprints=(blueprint,), settings=AdminSettings)
