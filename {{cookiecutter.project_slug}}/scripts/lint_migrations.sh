#!/usr/bin/env bash
# Lints the PostgreSQL SQL of the migrations for statements that would block traffic or break the previous release.
# docs/migrations.md has the safe forms.
# A comment in a revision excludes rules for that revision, for example to drop a table that no code uses:
#   # squawk-exclude: ban-drop-table, require-concurrent-index-deletion - no release uses the table
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# No connection is made: the URL only selects the SQL dialect.
env FLASK_SKIP_DOTENV=1 APP_ENV=testing SECRET_KEY="$(python -c 'import secrets; print(secrets.token_hex(32))')" \
  DATABASE_URL=postgresql://offline/offline \
  flask --app wsgi db upgrade --sql >"$folder/all.sql"

# Put squawk's own comment in front of every statement of a revision that excludes rules.
csplit --silent --elide-empty-files --prefix="$folder/part" "$folder/all.sql" '/^-- Running upgrade /' '{*}'
for part in "$folder"/part*; do
  revision=$(sed -n 's/^-- Running upgrade .*-> //p;q' "$part")
  file=$(grep -ls "^revision = [\"']${revision}[\"']" migrations/versions/*.py || true)
  rules=$([ -z "$file" ] || sed -n 's/^# squawk-exclude: \([a-z, -]*\) - .*/\1/p' "$file")
  awk -v rules="$rules" 'rules && !previous && /^[A-Z]/ { print "-- squawk-ignore " rules } { print; previous = $0 }' "$part"
done >"$folder/annotated.sql"
squawk "$folder/annotated.sql" || {
  echo "docs/migrations.md shows a safe form of each change, and how to exclude a rule." >&2
  exit 1
}
