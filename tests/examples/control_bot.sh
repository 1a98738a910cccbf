#!/bin/sh
# The same bot in shell: jq makes commands of events. What a caller sends stays data: jq writes the JSON.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/control"
sinchphone listen --user bot --no-audio --control "$folder/control" --json </dev/null |
    jq -c --unbuffered --arg greeting "$1" --arg news "$2" '
        if .event == "call.incoming" then {command: "answer", call_id}
        elif .event == "call.established" then {command: "play", path: $greeting, call_id}
        elif .event == "dtmf.received" and .digit == "1" then {command: "play", path: $news, call_id}
        elif .event == "dtmf.received" and .digit == "9" then {command: "hangup", call_id}
        elif .event == "client.ready" then "bot is waiting" | stderr | empty
        else empty end' >"$folder/control"
