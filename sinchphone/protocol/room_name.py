"""How long a conference room's name may be, and how one is written where users are meant too. Pure."""

from typing import Final

ROOM_PREFIX: Final = "conf:"
MAX_ROOM_CHARACTERS: Final = 64  # Sinch Voice, connectConf
