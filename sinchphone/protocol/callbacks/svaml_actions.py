"""Reads SVAML's actions, each with its fields. Pure."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from sinchphone.protocol.callbacks.svaml import (
    Amd,
    ConferenceDtmf,
    ConnectConf,
    ConnectMxp,
    ConnectPstn,
    ConnectSip,
    ConnectStream,
    DtmfMode,
    Park,
)
from sinchphone.protocol.callbacks.svaml_fields import Fields, describe
from sinchphone.protocol.callbacks.svaml_prompts import read_locale, read_prompt
from sinchphone.protocol.callbacks.svaml_recording import read_record_flag, refuse_record_flag
from sinchphone.protocol.names import MAX_ROOM_CHARACTERS, ROOM_PATTERN
from sinchphone.protocol.phone_numbers import CALLER_ID_RULE, E164, INTERNATIONAL
from sinchphone.protocol.unicode import is_unicode
from sinchphone.protocol.voice_limits import MAX_CALL_SECONDS, MAX_DTMF_CHARACTERS

MAX_CALL_HEADER_BYTES: Final = 1024  # of an action's headers together
MAX_PARK_SECONDS: Final = 600
SAMPLE_RATES: Final = (8000, 16_000, 24_000, 44_100, 48_000, 96_000)  # Sinch Voice, stream
MUSIC: Final = ("ring", "music1", "music2", "music3")
# Limits of this exchange, where the platform states none:
MAX_CALL_HEADERS: Final = 32
MAX_URL_CHARACTERS: Final = 2048

DTMF: Final = re.compile(rf"[0-9#w]{{1,{MAX_DTMF_CHARACTERS}}}")
_NUMBER: Final = re.compile(E164)
_CALLER_ID: Final = re.compile(rf"private|\+?{INTERNATIONAL}", re.IGNORECASE)
_SIP_CALLER: Final = re.compile(r"[A-Za-z0-9_.+~!*-]{1,64}")
_SIP_ADDRESS: Final = re.compile(
    r"(?:sips?:)?[^\s@<>\"\x00-\x1f\x7f]{1,128}@[A-Za-z0-9.\-:\[\]]{1,253}(?:;[A-Za-z0-9.;=\-]{1,128})?", re.IGNORECASE
)
_USER: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")
_ROOM: Final = re.compile(ROOM_PATTERN)
_STREAM: Final = re.compile(rf"wss?://[!-~]{{1,{MAX_URL_CHARACTERS}}}", re.IGNORECASE)
_PRIVATE_HEADER: Final = re.compile(r"[Xx]-[A-Za-z0-9!%'*+.^_`|~-]{1,64}")
_COUNTRIES: Final = tuple(
    re.findall(
        r"[a-z]{2}", "at au bg br be ch cl cn cz de dk ee es fi fr gr hu il in it lt jp mx my nl no nz ph pl pt ru se sg th uk us tw ve za"
    )
)


def read_connect_pstn(fields: Fields) -> ConnectPstn:
    """The action ``connectPstn``."""
    if fields.word("indications", _COUNTRIES):
        fields.remark("indications", "absent: callers hear this exchange's own ringing tone")
    return ConnectPstn(
        number=fields.matching("number", _NUMBER, "a phone number such as +46700000000"),
        caller_id=_caller_id(fields),
        max_duration_s=fields.whole("maxDuration", 1, MAX_CALL_SECONDS),
        dial_timeout_s=fields.whole("dialTimeout", 1, MAX_CALL_SECONDS),
        dtmf=fields.matching("dtmf", DTMF, "digits: 0-9, # and w") or "",
        suppress_callbacks=fields.flag("suppressCallbacks"),
        locale=read_locale(fields),
        amd=_amd(fields),
        recording=read_record_flag(fields),
    )


def read_connect_mxp(fields: Fields) -> ConnectMxp:
    """The action ``connectMxp``."""
    refuse_record_flag(fields)
    return ConnectMxp(_endpoint(fields, "username", _USER, "a user id", required=False), _call_headers(fields, private=False))


def read_connect_conf(fields: Fields) -> ConnectConf:
    """The action ``connectConf``."""
    room = fields.matching("conferenceId", _ROOM, f"a room's name of 1 to {MAX_ROOM_CHARACTERS} characters", required=True)
    return ConnectConf(room or "", fields.word("moh", MUSIC), read_conference_dtmf(fields), read_record_flag(fields))


def read_conference_dtmf(fields: Fields) -> ConferenceDtmf:
    """``conferenceDtmfOptions``, of the action and of a callout."""
    options = fields.inner("conferenceDtmfOptions")
    if options is None:
        return ConferenceDtmf()
    given = ConferenceDtmf()
    read = ConferenceDtmf(
        DtmfMode(options.word("mode", [mode.value for mode in DtmfMode]) or given.mode.value),
        options.whole("maxDigits", 1, 64) or given.max_digits,
        options.whole("timeoutMills", 1, 600_000) or given.timeout_ms,
    )
    options.finish()
    return read


def read_connect_sip(fields: Fields) -> ConnectSip:
    """The action ``connectSip``."""
    return ConnectSip(
        address=_endpoint(fields, "sip", _SIP_ADDRESS, "a SIP address such as 46708000000@sip.example.com", required=True) or "",
        caller_id=fields.matching("cli", _SIP_CALLER, "a number or a user's name"),
        transport=fields.word("transport", ("udp", "tcp", "tls")),
        max_duration_s=fields.whole("maxDuration", 1, MAX_CALL_SECONDS),
        suppress_callbacks=fields.flag("suppressCallbacks"),
        headers=_call_headers(fields, private=True),
        music=fields.word("moh", MUSIC),
        recording=read_record_flag(fields),
    )


def read_connect_stream(fields: Fields) -> ConnectStream:
    """The action ``connectStream``. A URL with a name and password is no URL here: it would be shown to whoever reads the log."""
    url = _endpoint(fields, "websocket", _STREAM, "a URL such as wss://example.com/sound", required=True)
    if url is not None and not _is_stream_url(url):
        fields.complain(
            f"{fields.path_of('destination')}.endpoint", describe(url.partition("?")[0]), "a URL such as wss://example.com/sound"
        )
    options = fields.inner("streamingOptions")
    rate = None
    if options is not None:
        options.whole("version", 1, 1)
        rate = options.value("sampleRate")
        if rate is not None and (isinstance(rate, bool) or rate not in SAMPLE_RATES):
            options.odd("sampleRate", f"one of {', '.join(map(str, SAMPLE_RATES))}")
        options.finish()
    return ConnectStream(
        url=url or "",
        sample_rate=rate if isinstance(rate, int) else ConnectStream("").sample_rate,
        max_duration_s=fields.whole("maxDuration", 1, MAX_CALL_SECONDS),
        headers=_call_headers(fields, private=False),
    )


def read_park(fields: Fields) -> Park:
    """The action ``park``."""
    return Park(
        intro=read_prompt(fields, "introPrompt"),
        hold=read_prompt(fields, "holdPrompt"),
        max_duration_s=fields.whole("maxDuration", 1, MAX_PARK_SECONDS) or MAX_PARK_SECONDS,
        locale=read_locale(fields),
    )


def _amd(fields: Fields) -> Amd:
    options = fields.inner("amd")
    if options is None:
        return Amd.OFF
    wanted, beside = options.flag("enabled") or not options.has("enabled"), options.flag("async")
    options.finish()
    if not wanted:
        return Amd.OFF
    return Amd.ASYNC if beside else Amd.SYNC


def _is_stream_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return False


def _caller_id(fields: Fields) -> str | None:
    found = fields.matching("cli", _CALLER_ID, CALLER_ID_RULE)
    if found is None or found.lower() == "private":
        return found.lower() if found else None
    return f"+{found.removeprefix('+')}"


def _endpoint(fields: Fields, kind: str, pattern: re.Pattern[str], expected: str, *, required: bool) -> str | None:
    """The platform's guides leave out the type here and there: the action says as much."""
    identity = fields.inner("destination")
    if identity is None:
        if required:
            fields.odd("destination", f'an object with type "{kind}" and an endpoint')
        return None
    identity.word("type", (kind,))
    endpoint = identity.matching("endpoint", pattern, expected, required=True)
    identity.finish()
    return endpoint


def _call_headers(fields: Fields, *, private: bool) -> Mapping[str, str]:
    """``private``: they become SIP headers, whose names begin with X-."""
    headers: dict[str, str] = {}
    for one in fields.objects("callHeaders", MAX_CALL_HEADERS):
        if private:
            key = one.matching("key", _PRIVATE_HEADER, "the name of a private SIP header such as X-Reference", required=True)
        else:
            key = one.text("key", limit=MAX_CALL_HEADER_BYTES, required=True)
        value = one.value("value")
        if not isinstance(value, str) or not is_unicode(value) or (private and not value.isprintable()):
            one.odd("value", "a text on one line" if private else "a text")
        elif key is not None:
            headers[key] = value
        one.finish()
    size = sum(len(f"{key}{value}".encode(errors="replace")) for key, value in headers.items())
    if size > MAX_CALL_HEADER_BYTES:
        fields.odd("callHeaders", f"at most {MAX_CALL_HEADER_BYTES} bytes, names and values", f"{size} bytes")
    return headers
