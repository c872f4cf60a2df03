#!/usr/bin/env bash
# Shows every line about one request: of the proxy, of the web container that answered, and of the tasks it started.
# Usage: scripts/find_logs.sh ID [FILE …]
# ID is what the answer said in X-Request-ID (or a trace id). Without files, the containers of compose.yaml are asked.
set -euo pipefail

id=${1-}
if [[ ! $id =~ ^[A-Za-z0-9._-]{1,128}$ ]]; then
  echo "usage: $0 ID [FILE ...], where ID is the X-Request-ID of an answer, or a trace id" >&2
  exit 2
fi
shift

about="\"(request_id|trace_id)\": ?\"${id//./\\.}\""
if (($#)); then
  grep --no-filename --extended-regexp "$about" "$@"
else
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  docker compose logs --no-color --timestamps | grep --extended-regexp "$about" | sort --field-separator '|' --key 2
fi
