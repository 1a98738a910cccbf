#!/bin/sh
# A hook for what is over: a line a call. --on "ended=sh log_calls.sh"
printf '%s\t%s\t%s ms\n' "$SINCHPHONE_PEER" "$SINCHPHONE_CAUSE" "$SINCHPHONE_DURATION_MS" >>calls.log
