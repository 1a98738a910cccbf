"""What a service manager is told and told apart: readiness and the end (sd_notify), and the level of each line (sd-daemon).

::

    NOTIFY_SOCKET   ->  READY=1 once calls can come, STOPPING=1 when no more are taken
    JOURNAL_STREAM  ->  "<4>warning: …": the journal takes the level off and keeps it
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, TextIO

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
# Of a line's first word, as syslog numbers levels (RFC 5424 6.2.1); everything else is information.
_LEVELS: Final = {"critical": 2, "error": 3, "warning": 4, "debug": 7}
_INFORMATION: Final = 6


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell the service manager, where one waits for it (sd_notify(3)); whether it was told. Never raises, never waits."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.setblocking(False)
        sending.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
        return True
    return False


def is_journal(stream: TextIO) -> bool:
    """Whether what is written there goes to systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        seen = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"


def with_level(text: str, said: str = "") -> str:
    """The line with its level in front, as sd-daemon(3) writes it. ``said``: what begins with its level, where the line doesn't."""
    word = (said or text).partition(" ")[0].rstrip(":")
    return f"<{_LEVELS.get(word, _INFORMATION)}>{text}"
