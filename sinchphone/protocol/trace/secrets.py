"""Secrets in what is shown of traffic: each becomes stars, in headers, JSON, forms, URLs, SDP and SIP, and inside each other.

What is secret is decided by the name that stands before it; of what has no name, by its form (JWT, the user part of a URL).
"""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

STARS: Final = "***"
MAX_DEPTH: Final = 12  # of JSON, and of JSON in JSON: what is deeper isn't shown

_SECRET_PARTS: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "ticket",
    "credential",
    "signature",
    "authorization",
    "cookie",
    "key",
)
_SECRET_NAMES: Final = frozenset(
    {"auth", "pass", "pwd", "pin", "p256dh", "sig", "otp", "proof", "icepwd", "icesecret", "sealed", "jwt", "identityheader"}
)
_HARMLESS: Final = frozenset(  # they have "key" or "token" in them, and open nothing
    {
        "applicationkey", "keyid", "publickey", "applicationserverkey", "vapidpublickey", "timetoken", "tokenurl", "keypress", "keytype",
        "xsinchapplicationkey", "cseq",
    }
)  # fmt: skip

# Every repetition is bounded and begins at a word's edge: what others wrote takes no more time than it's long.
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{4,8192}\.[\w-]{4,8192}(?:\.[\w-]{0,8192})?")
_USER_PART: Final = re.compile(
    r"(?P<before>(?<![\w+.-])(?:[a-zA-Z][a-zA-Z0-9+.-]{0,31}://|sips?:))(?P<user>[^\s/@:\"<>]{0,256}):(?P<password>[^\s/@\"<>]{1,256})@"
)
_SCHEME: Final = re.compile(
    r"\b(?P<scheme>Basic|Bearer|Digest|Application|Instance|Signature|vapid|WebPush)\s+(?P<value>(?=[^\s\"']{0,256}[:=.\d])[^\s\"']{6,8192})",
    re.IGNORECASE,
)
_NAMED_IN_JSON: Final = re.compile(r"(?P<name>\"(?:[^\"\\]|\\.){1,64}\"\s{0,9}:\s{0,9}\")(?P<value>(?:[^\"\\]|\\.)*)")
_NAMED_IN_ESCAPED: Final = re.compile(r"(?P<name>(?<!\\)\\{1,8}\"[\w.-]{1,64}\\{1,8}\"\s{0,9}:\s{0,9}\\{1,8}\")(?P<value>[^\"\\]*)")
_NAMED: Final = re.compile(
    r"(?P<name>(?<![\w.%-])[\w.%-]{1,64})(?P<is>\s{0,9}=\s{0,9})(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"?|(?P<value>[^\s&;,\"<>]+))"
)
_SDP_SECRET: Final = re.compile(r"(?m)^(a=(?:ice-pwd:|crypto:\d+ \S+ inline:))[^\s|]+|^(k=\w+:)\S+")
_HEADER: Final = re.compile(r"(?m)^(?P<name>[\w-]{1,64})(?P<is>[ \t]*:[ \t]*)(?P<value>[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)")
_DIGEST_RESPONSE: Final = re.compile(r"(?i)\b(response|cnonce|opaque|rspauth)\s*=\s*(?:\"[^\"]*\"?|[^\s,]+)")
_SIP_CREDENTIALS: Final = frozenset({"authorization", "proxyauthorization", "authenticationinfo"})


def is_secret_name(name: str) -> bool:
    """Whether what has that name (of a header, a member, a parameter) is secret."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in _HARMLESS:
        return False
    return plain in _SECRET_NAMES or any(part in plain for part in _SECRET_PARTS)


def mask_header(name: str, value: str) -> str:
    """A header's value: of one that proves who asks no more than the scheme."""
    if not is_secret_name(name):
        return mask_text(value)
    scheme, _, rest = value.strip().partition(" ")
    return f"{scheme} {STARS}" if rest and scheme.isalpha() else STARS


def mask_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """All of them."""
    return [(name, mask_header(name, value)) for name, value in headers]


def mask_body(text: str) -> str:
    """A body, of whatever kind: JSON stays JSON, SDP stays SDP."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.dumps(mask_value(json.loads(text)), ensure_ascii=False, separators=(",", ":"))
        except (ValueError, RecursionError):
            pass  # cut short, or no JSON
    return mask_text(text)


def mask_value(value: Any, depth: int = 0) -> Any:
    """A JSON value. Texts in it that are JSON themselves are looked into."""
    if depth > MAX_DEPTH:
        return STARS
    match value:
        case dict():
            return {mask_text(str(name)): _member(str(name), inner, depth) for name, inner in value.items()}
        case list():
            return [mask_value(inner, depth + 1) for inner in value]
        case str() if value.lstrip()[:1] in ("{", "["):
            try:
                return json.dumps(mask_value(json.loads(value), depth + 1), ensure_ascii=False, separators=(",", ":"))
            except (ValueError, RecursionError):
                return mask_text(value)
        case str():
            return mask_text(value)
        case _:
            return value


def mask_text(text: str) -> str:
    """Any text: URLs with passwords or tokens, tokens by themselves, forms, SDP, JSON that is cut short."""
    text = _SDP_SECRET.sub(lambda found: f"{found[1] or found[2]}{STARS}", text)
    text = _USER_PART.sub(rf"\g<before>\g<user>:{STARS}@", text)
    text = _JWT.sub(STARS, text)
    text = _SCHEME.sub(rf"\g<scheme> {STARS}", text)
    text = _NAMED_IN_JSON.sub(_named_in_json, text)
    text = _NAMED_IN_ESCAPED.sub(_named_in_json, text)
    return _NAMED.sub(_named, text)


def mask_sip(text: str) -> str:
    """A SIP message as it was on the wire: which user proves what stays to be seen, the proof doesn't."""
    head, blank, body = text.partition("\r\n\r\n")
    first, line, headers = head.partition("\r\n")
    return f"{mask_text(first)}{line}{_HEADER.sub(_sip_header, headers)}{blank}{mask_body(body)}"


def _member(name: str, value: Any, depth: int) -> Any:
    if is_secret_name(name) and value not in (None, "") and not isinstance(value, bool):
        return STARS
    return mask_value(value, depth + 1)


def _named_in_json(found: re.Match[str]) -> str:
    name = found["name"].partition(":")[0]
    return f"{found['name']}{STARS}" if is_secret_name(name) else found[0]


def _named(found: re.Match[str]) -> str:
    if not is_secret_name(found["name"]):
        return found[0]
    return f"{found['name']}{found['is']}{STARS}"


def _sip_header(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in _SIP_CREDENTIALS:
        scheme = value.strip().partition(" ")[0].lower()
        kept = _DIGEST_RESPONSE.sub(rf'\1="{STARS}"', value) if scheme == "digest" else mask_header(name, value)
        return f"{name}{found['is']}{kept}"
    if plain in ("wwwauthenticate", "proxyauthenticate"):
        return found[0]
    if plain == "identity" or (plain not in _HARMLESS and plain != "callid" and is_secret_name(name)):
        return f"{name}{found['is']}{STARS}"
    return f"{name}{found['is']}{mask_text(value)}"
