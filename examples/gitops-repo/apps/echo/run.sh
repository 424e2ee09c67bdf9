#!/bin/sh
# Starts the web worker. `exec` replaces the shell by the server, so that a request to end reaches the server itself.
set -eu
echo "echo: listening on ${BIND_ADDRESS:-127.0.0.1}:$PORT, release ${HOP3_RELEASE:-none}"
exec python3 echo.py
