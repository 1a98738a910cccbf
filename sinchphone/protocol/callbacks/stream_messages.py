"""The text messages of a stream of sound to a developer's server (Sinch Voice, stream, version 1). Pure.

::

    ours    {"command": "connect", "version": 1, "callId", "applicationKey", "codec": "PCM", "sampleRate", "callHeaders": {…}}
    theirs  {"command": "answer" | "busy" | "reject"}, then {"command": "clear" | "heartbeat"} at any time
"""

import json
from collections.abc import Mapping
from enum import StrEnum


class StreamCommand(StrEnum):
    """What a server tells."""

    ANSWER = "answer"
    BUSY = "busy"
    REJECT = "reject"
    CLEAR = "clear"  # what it has said and isn't heard yet is not to be heard
    HEARTBEAT = "heartbeat"  # it is there, though it says nothing


def write_connect(call_id: str, application_key: str, sample_rate: int, headers: Mapping[str, str]) -> str:
    """Our first message."""
    members = {"command": "connect", "version": 1, "callId": call_id, "applicationKey": application_key}
    return json.dumps({**members, "codec": "PCM", "sampleRate": sample_rate, "callHeaders": dict(headers)})


def read_command(text: str) -> StreamCommand | None:
    """What a message of theirs says; ``None`` for what is none."""
    try:
        value = json.loads(text)
        return StreamCommand(str(value["command"]).lower())
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
