#!/usr/bin/env bash
# Reads the SQL that the migrations would run on PostgreSQL, and complains of what would lock out the traffic.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

sql=$(mktemp)
trap 'rm -f "$sql"' EXIT
# Nothing is connected to: the address only says which SQL to write.
env FLASK_SKIP_DOTENV=1 APP_ENV=testing SECRET_KEY="$(printf 'offline%.0s' {1..6})" DATABASE_URL=postgresql://offline/offline \
  flask --app wsgi db upgrade --sql >"$sql"
squawk "$sql"
