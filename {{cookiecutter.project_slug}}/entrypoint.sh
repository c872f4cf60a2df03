#!/usr/bin/env bash
# Starts one role of the service: web, worker, beat, flower, migrate or shell.
# What could go wrong goes wrong here, before anything listens: bad settings, no database, a migration that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

role=${1:-web}
[ $# -eq 0 ] || shift
export FLASK_APP=wsgi
# What is in the environment counts, for every program started here alike.
export FLASK_SKIP_DOTENV=1

case $role in
  web)
    flask prepare # which loads the app, and that refuses bad settings
    exec gunicorn --config gunicorn.conf.py "$@"
    ;;
  worker)
    flask prepare
    # Where its processes keep their counts, so that the main one can add them up (app/observability/slots.py).
    PROMETHEUS_MULTIPROC_DIR=$(mktemp -d "${TMPDIR:-/tmp}/worker-metrics.XXXXXX")
    export PROMETHEUS_MULTIPROC_DIR
    exec celery --quiet --app wsgi:celery worker --loglevel INFO "$@"
    ;;
  beat)
    flask prepare
    exec celery --quiet --app wsgi:celery beat --loglevel INFO --schedule "${TMPDIR:-/tmp}/beat-schedule" "$@"
    ;;
  flower)
    # Read as every setting is, from a file or Vault too.
    FLOWER_PASSWORD=$(python -c 'from app.settings import settings_of; from wsgi import app; print(settings_of(app).FLOWER_PASSWORD or "")')
    # By the environment and not as an argument, which everybody on the machine could read.
    export FLOWER_BASIC_AUTH="flower:${FLOWER_PASSWORD:?is not set: Flower shows what tasks are given, so it needs a password}"
    exec celery --app wsgi:celery flower --address="${BIND_ADDRESS:-0.0.0.0}" --port="${FLOWER_PORT:-5555}" "$@"
    ;;
  migrate)
    exec flask init-db # prepares, and adds what every installation has
    ;;
  shell)
    exec flask shell "$@"
    ;;
  *)
    echo "entrypoint.sh: there is no role '$role'. Choose web, worker, beat, flower, migrate or shell." >&2
    exit 64
    ;;
esac
