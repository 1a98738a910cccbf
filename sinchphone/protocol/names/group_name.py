"""What can be the name of a group of ``callGroup``: a part of a pub/sub channel's name. Pure."""

from typing import Final

MAX_GROUP_CHARACTERS: Final = 64
GROUP_RULE: Final = f"a group's name has 1 to {MAX_GROUP_CHARACTERS} characters, without spaces and , . : * / \\"


def is_group_name(text: str) -> bool:
    """Whether a group may be called that: 1 to 64 printable characters, without spaces and ``,/\\*:.``."""
    return 0 < len(text) <= MAX_GROUP_CHARACTERS and text.isprintable() and not set(text) & set(",/\\*:. ")
