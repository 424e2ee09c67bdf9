#!/bin/sh
# A worker without requests: writes a line a minute to its log (`hop3-agent logs echo`).
# `wait` lets the trap run at once; a plain `sleep` would hold it up for the rest of the minute.
set -eu
trap 'kill "$sleeping" 2>/dev/null || true; exit 0' TERM INT
while :; do
  echo "clock: $(date -u '+%H:%M:%S') UTC"
  sleep 60 &
  sleeping=$!
  wait "$sleeping"
done
