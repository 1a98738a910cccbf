"""What can be a user id: two rules, for the older dialect's users and for those who register by token; and an e-mail address (pure)."""

import re
from typing import Final

MAX_USER_ID_BYTES: Final = 255
TOKEN_RULE: Final = f"1 to {MAX_USER_ID_BYTES} of the characters A-Z a-z 0-9 - _ ="
USER_RULE: Final = f"1 to {MAX_USER_ID_BYTES} bytes, all printable, and no space at its ends"

_EMAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@]{1,190}")
_IN_TOKENS: Final = re.compile(rf"[A-Za-z0-9_=-]{{1,{MAX_USER_ID_BYTES}}}")


def is_user_id(text: str) -> bool:
    """Whether the platform can have a user of that id: the older dialect's rule (PAPI v1), which is the wider one."""
    return text.isprintable() and text == text.strip() and 1 <= len(text.encode(errors="replace")) <= MAX_USER_ID_BYTES


def is_token_user_id(text: str) -> bool:
    """Whether a registration token can be of that user (Sinch user authorisation)."""
    return _IN_TOKENS.fullmatch(text) is not None


def is_email(text: str) -> bool:
    """Whether that is an e-mail address; what isn't printable is none."""
    return _EMAIL.fullmatch(text) is not None and text.isprintable()
