#!/usr/bin/env bash
# Prints every log line of one request: from the proxy, the web container and the tasks that the request started.
# Usage: scripts/find_logs.sh ID [FILE …]
# ID is the X-Request-ID of a response, or a trace id. Without files, it reads the logs of the containers of compose.yaml.
set -euo pipefail

id=${1-}
if [[ ! $id =~ ^[A-Za-z0-9._-]{1,128}$ ]]; then
  echo "usage: $0 ID [FILE ...], where ID is the X-Request-ID of a response, or a trace id" >&2
  exit 2
fi
shift

pattern="\"(request_id|trace_id)\": ?\"${id//./\\.}\""
if (($#)); then
  grep --no-filename --extended-regexp "$pattern" "$@"
else
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  docker compose logs --no-color --timestamps | grep --extended-regexp "$pattern" | sort --field-separator '|' --key 2
fi
