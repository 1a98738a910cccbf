"""Reads SVAML's instructions, each with its fields. Pure."""

from typing import Final

from sinchphone.protocol.callbacks.svaml import MAX_COOKIE_BYTES, Fetched, PlayFiles, Prompt, ReportCallStatus, Say, SendDtmf, SetCookie
from sinchphone.protocol.callbacks.svaml_actions import DTMF
from sinchphone.protocol.callbacks.svaml_fields import Fields, describe
from sinchphone.protocol.callbacks.svaml_prompts import MAX_PROMPTS, PROMPTS, read_locale, read_prompts
from sinchphone.protocol.unicode import is_unicode

MAX_SAY_CHARACTERS: Final = 600
MAX_DETAILS_CHARACTERS: Final = 64


def read_say(fields: Fields) -> Say | None:
    """The instruction ``say``."""
    text, locale = fields.text("text", limit=MAX_SAY_CHARACTERS, required=True), read_locale(fields)
    return Say(text, locale) if text is not None else None


def read_play_files(fields: Fields) -> PlayFiles | None:
    """The instruction ``playFiles``."""
    prompts: list[Prompt] = []
    ids = fields.items("ids", MAX_PROMPTS)
    if not fields.has("ids") or fields.value("ids") == []:
        fields.odd("ids", "a list of prompts")
    for path, value in ids:
        read = read_prompts(value) if isinstance(value, str) else None
        if read:
            prompts += read
        else:
            fields.complain(path, describe(value), PROMPTS)
    if len(prompts) > MAX_PROMPTS:
        fields.complain(fields.path_of("ids"), f"{len(prompts)} prompts", f"at most {MAX_PROMPTS} prompts together")
    locale = read_locale(fields)
    if any(not isinstance(prompt, Fetched) for prompt in prompts) and not fields.has("locale"):
        fields.odd("locale", "a locale such as en-US, since a text is spoken")
    return PlayFiles(tuple(prompts), locale)


def read_send_dtmf(fields: Fields) -> SendDtmf | None:
    """The instruction ``sendDtmf``."""
    digits = fields.matching("value", DTMF, "digits: 0-9, # and w", required=True)
    return SendDtmf(digits) if digits is not None else None


def read_set_cookie(fields: Fields) -> SetCookie | None:
    """The instruction ``setCookie``."""
    key, value = fields.text("key", limit=MAX_COOKIE_BYTES, required=True), fields.value("value")
    if not isinstance(value, str) or not is_unicode(value) or len(value) > MAX_COOKIE_BYTES:
        fields.odd("value", f"a text of at most {MAX_COOKIE_BYTES} characters")
        return None
    return SetCookie(key, value) if key is not None else None


def read_report_call_status(fields: Fields) -> ReportCallStatus | None:
    """The instruction ``reportCallStatus``."""
    if not fields.has("value"):
        fields.odd("value", "success or failure")
    value = fields.word("value", ("success", "failure"))
    details = fields.text("details", limit=MAX_DETAILS_CHARACTERS) if fields.value("details") != "" else ""
    return ReportCallStatus(value == "success", details or "") if value is not None else None
