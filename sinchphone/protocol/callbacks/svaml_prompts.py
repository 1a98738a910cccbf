"""Reads prompts as SVAML writes them: texts to be spoken and sounds to be fetched, separated by semicolons. Pure."""

import re
from typing import Final
from urllib.parse import urlsplit

from sinchphone.protocol.callbacks.svaml import Fetched, Prompt, Spoken, Ssml
from sinchphone.protocol.callbacks.svaml_fields import Fields
from sinchphone.protocol.unicode import is_unicode

MAX_PROMPTS: Final = 32
MAX_PROMPT_CHARACTERS: Final = 4096
PROMPTS: Final = "#tts[…], #ssml[…], #href[…] or a URL (several are separated by ;)"
LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,8}(?:/[A-Za-z]{1,32})?|[A-Za-z][A-Za-z-]{1,31}")
_MARKED: Final = re.compile(r"#(tts|ssml|href)\[(.*?)\]\s*(?=;|$)", re.IGNORECASE | re.DOTALL)


def read_locale(fields: Fields) -> str | None:
    """The locale or voice that texts are spoken with."""
    return fields.matching("locale", LOCALE, "a locale such as en-US, or a voice's name")


def read_prompt(fields: Fields, name: str) -> tuple[Prompt, ...]:
    """The prompts of one member; none where it's absent or wrong."""
    value = fields.value(name)
    read = read_prompts(value) if isinstance(value, str) and value.strip() else None
    if value is None or value == "":
        return ()
    if read is None or len(read) > MAX_PROMPTS:
        fields.odd(name, PROMPTS)
        return ()
    return read


def read_prompts(text: str) -> tuple[Prompt, ...] | None:
    """The prompts of one text (``#tts[…];#href[…];https://…``); None where it isn't one, or is none."""
    if len(text) > MAX_PROMPT_CHARACTERS or not is_unicode(text):
        return None
    prompts: list[Prompt] = []
    rest = text.strip().strip(";").strip()
    while rest:
        marked = _MARKED.match(rest)
        piece, end = (marked[0], marked.end()) if marked else (rest.partition(";")[0], len(rest.partition(";")[0]))
        prompt = _marked_prompt(marked[1].lower(), marked[2].strip()) if marked else _fetched(piece.strip())
        if prompt is None:
            return None
        prompts.append(prompt)
        rest = rest[end:].lstrip("; \t\r\n")
    return tuple(prompts) or None


def _marked_prompt(mark: str, content: str) -> Prompt | None:
    if not content:
        return None
    if mark == "href":
        return _fetched(content)
    return Ssml(content) if mark == "ssml" else Spoken(content)


def _fetched(url: str) -> Fetched | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return Fetched(url) if usable and url.isprintable() and " " not in url and parts.username is None else None
