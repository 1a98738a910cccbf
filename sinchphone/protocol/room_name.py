"""How long a conference room's name may be. Pure."""

from typing import Final

MAX_ROOM_CHARACTERS: Final = 64  # Sinch Voice, connectConf
