"""Whom a push service can write to about somebody's pushes (the token's ``sub``, RFC 8292 2.1)."""

import re
from typing import Final
from urllib.parse import urlsplit

from sinchphone.errors import ConfigError

_LOCAL: Final = r"(?i)localhost|.*\.localhost|127\..*|::1|.*\.local"
_MAILBOX: Final = r"(?i)mailto:[^@\s]+@[^@\s]+\.[^@\s]+"


def check_subject(subject: str) -> None:
    """Raises ConfigError for a contact that push services refuse: neither mailto: nor https:, or on this machine."""
    parts = urlsplit(subject)
    https = parts.scheme.lower() == "https" and parts.hostname is not None and not re.fullmatch(_LOCAL, parts.hostname)
    if not https and not re.fullmatch(_MAILBOX, subject):
        raise ConfigError(
            f"{subject} is no contact that push services take",
            hint="mailto:somebody@example.org, or an https: page that isn't on this machine",
        )
