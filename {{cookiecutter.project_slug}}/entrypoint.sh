#!/usr/bin/env bash
# Starts one role of the service: web, worker, beat, flower, migrate or shell.
# It exits before it listens if settings are invalid, the database is unreachable, or the migration fails.
set -euo pipefail

# This shell stays process 1 of the container and passes signals on. The kernel ignores a signal for process 1 as long as
# that has no handler for it, and a Python program needs about two seconds until it has one.
child=''
pending=''
interrupted=''

# Sends a signal to the child. For a moment the child is a copy of this shell, whose handlers would swallow the signal:
# its program is then still this shell's (always false where there is no /proc).
send() {
  while [ "/proc/$child/exe" -ef "/proc/$$/exe" ]; do
    sleep 0.01
  done
  kill -s "$1" "$child" 2>/dev/null || true
}

pass_on() {
  interrupted=yes
  if [ -n "$child" ]; then
    send "$1"
  else
    pending=$1
  fi
}

# Runs a program until it ends, and exits with its status if that is not 0. In the background, because a shell handles no
# signal while it waits for a program in the foreground.
run() {
  local status
  [ -z "$pending" ] || exit 143
  "$@" &
  child=$!
  [ -z "$pending" ] || send "$pending" # it came before `child` was set
  while :; do
    interrupted='' status=0
    wait "$child" || status=$?
    [ -n "$interrupted" ] || break # a signal also ends `wait`
  done
  child=''
  [ "$status" = 0 ] || exit "$status"
}

trap 'pass_on TERM' TERM
trap 'pass_on TERM' INT # a program in the background ignores INT until it has a handler

cd "$(dirname "${BASH_SOURCE[0]}")"
role=${1:-web}
[ $# -eq 0 ] || shift
export FLASK_APP=wsgi
# Prevents the flask command from reading a .env file: all programs must have the same settings.
export FLASK_SKIP_DOTENV=1
# Only Gunicorn creates this folder; other programs would fail without it, or leave files for the metrics of the service.
metrics_directory=${PROMETHEUS_MULTIPROC_DIR:-}
unset PROMETHEUS_MULTIPROC_DIR

# Signals to the programs of the roles: quick shutdown, reload, more and fewer processes, reopen logs.
pass_on_all() {
  local signal
  for signal in QUIT HUP USR1 USR2 TTIN TTOU; do
    # shellcheck disable=SC2064 # expand now
    trap "pass_on $signal" "$signal"
  done
}

case $role in
  web)
    run flask prepare # loads the app, which rejects invalid settings
    [ -z "$metrics_directory" ] || export PROMETHEUS_MULTIPROC_DIR="$metrics_directory"
    pass_on_all
    run gunicorn --config gunicorn.conf.py "$@"
    ;;
  worker)
    run flask prepare
    # The worker's processes write their metrics here; its main process aggregates and serves them.
    PROMETHEUS_MULTIPROC_DIR=$(mktemp -d "${TMPDIR:-/tmp}/worker-metrics.XXXXXX")
    export PROMETHEUS_MULTIPROC_DIR
    pass_on_all
    run celery --quiet --app wsgi:celery worker --loglevel INFO "$@"
    ;;
  beat)
    run flask prepare
    pass_on_all
    run celery --quiet --app wsgi:celery beat --loglevel INFO --schedule "${TMPDIR:-/tmp}/beat-schedule" "$@"
    ;;
  flower)
    run python scripts/start_flower.py "$@"
    ;;
  migrate)
    run flask init-db # prepares, then seeds the database
    ;;
  shell)
    exec flask shell "$@"
    ;;
  *)
    echo "entrypoint.sh: unknown role '$role'. Roles: web, worker, beat, flower, migrate, shell." >&2
    exit 64
    ;;
esac
