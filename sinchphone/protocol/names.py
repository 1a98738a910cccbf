"""Which names users, groups and conference rooms may have, and what is an e-mail address. Pure."""

import re
from typing import Final

MAX_USER_ID_BYTES: Final = 255
TOKEN_RULE: Final = f"1 to {MAX_USER_ID_BYTES} of the characters A-Z a-z 0-9 - _ ="
USER_RULE: Final = f"1 to {MAX_USER_ID_BYTES} bytes, all printable, and no space at its ends"
_EMAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@]{1,190}")
_IN_TOKENS: Final = re.compile(rf"[A-Za-z0-9_=-]{{1,{MAX_USER_ID_BYTES}}}")

ROOM_PREFIX: Final = "conf:"
DIALLED_ROOM_PREFIX: Final = "conf-"  # a phone can't dial a colon, and in a SIP address it would begin a password
MAX_ROOM_CHARACTERS: Final = 64  # Sinch Voice, connectConf
ROOM_RULE: Final = f"a room's name has 1 to {MAX_ROOM_CHARACTERS} characters"
#: as people, dial plans and backends write one
ROOM_PATTERN: Final = rf"[^\s\x00-\x1f\x7f\ud800-\udfff]{{1,{MAX_ROOM_CHARACTERS}}}"

MAX_GROUP_CHARACTERS: Final = 64
GROUP_RULE: Final = f"a group's name has 1 to {MAX_GROUP_CHARACTERS} characters, without spaces and , . : * / \\"


def is_user_id(text: str) -> bool:
    """Whether the platform can have a user of that id: the older dialect's rule (PAPI v1), which is the wider one."""
    return text.isprintable() and text == text.strip() and 1 <= len(text.encode(errors="replace")) <= MAX_USER_ID_BYTES


def is_token_user_id(text: str) -> bool:
    """Whether a registration token can be of that user (Sinch user authorisation)."""
    return _IN_TOKENS.fullmatch(text) is not None


def is_email(text: str) -> bool:
    """Whether that is an e-mail address; what isn't printable is none."""
    return _EMAIL.fullmatch(text) is not None and text.isprintable()


def is_room_length(text: str) -> bool:
    """Whether a room's name can be that long."""
    return 0 < len(text) <= MAX_ROOM_CHARACTERS


def is_room_name(text: str) -> bool:
    """Whether that is a room's name as people write one: without spaces and control characters."""
    return re.fullmatch(ROOM_PATTERN, text) is not None


def is_group_name(text: str) -> bool:
    """Whether a group may be called that: 1 to 64 printable characters, without spaces and ``,/\\*:.``."""
    return 0 < len(text) <= MAX_GROUP_CHARACTERS and text.isprintable() and not set(text) & set(",/\\*:. ")
