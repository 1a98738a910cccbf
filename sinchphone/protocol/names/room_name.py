"""What can be a conference room's name, and how one is written where users are meant too. Pure."""

import re
from typing import Final

ROOM_PREFIX: Final = "conf:"
DIALLED_ROOM_PREFIX: Final = "conf-"  # a phone can't dial a colon, and in a SIP address it would begin a password
MAX_ROOM_CHARACTERS: Final = 64  # Sinch Voice, connectConf
ROOM_RULE: Final = f"a room's name has 1 to {MAX_ROOM_CHARACTERS} characters"
#: as people, dial plans and backends write one
ROOM_PATTERN: Final = rf"[^\s\x00-\x1f\x7f\ud800-\udfff]{{1,{MAX_ROOM_CHARACTERS}}}"


def is_room_length(text: str) -> bool:
    """Whether a room's name can be that long."""
    return 0 < len(text) <= MAX_ROOM_CHARACTERS


def is_room_name(text: str) -> bool:
    """Whether that is a room's name as people write one: without spaces and control characters."""
    return re.fullmatch(ROOM_PATTERN, text) is not None
