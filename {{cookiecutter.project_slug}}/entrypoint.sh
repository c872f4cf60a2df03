#!/usr/bin/env bash
# Starts one role of the service: web, worker, beat, migrate or shell.
# What could go wrong goes wrong here, before anything listens: bad settings, no database, a migration that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

role=${1:-web}
[ $# -eq 0 ] || shift
export FLASK_APP=wsgi

prepare() {
  python scripts/check_env.py
  flask wait-for-db
  flask db upgrade
}

case $role in
  web)
    prepare
    exec gunicorn --config gunicorn.conf.py "$@"
    ;;
  worker)
    prepare
    exec celery --app wsgi:celery worker --loglevel INFO --concurrency "${CELERY_CONCURRENCY:-2}" "$@"
    ;;
  beat)
    prepare
    exec celery --app wsgi:celery beat --loglevel INFO --schedule "${TMPDIR:-/tmp}/beat-schedule" "$@"
    ;;
  migrate)
    prepare
    exec flask init-db
    ;;
  shell)
    exec flask shell "$@"
    ;;
  *)
    echo "entrypoint.sh: there is no role '$role'. Choose web, worker, beat, migrate or shell." >&2
    exit 64
    ;;
esac
