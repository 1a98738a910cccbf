"""What a REST client that OpenAPI Generator wrote (``typescript-fetch``) says of its API: facts out of its text, which is never run.

::

    apis/*.ts|js     createInstanceRaw(…) { path: `/users/{userId}/instances`, method: 'POST', body: XToJSON(…), … YFromJSON }
    models/*.ts|js   XFromJSONTyped(json) { return { 'callId': json['callId'], … } }     enumerations of texts
    runtime.ts|js    BASE_PATH

TypeScript as generated, and what compilers make of it (ES5 prototypes, ES modules, CommonJS).
"""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from sinchphone.quick_dataclass import quick_dataclass

MAX_NAMES: Final = 5_000  # of each kind
_API: Final = re.compile(r"(?:^|/)apis/[^/]+\.[jt]s$")
_MODEL: Final = re.compile(r"(?:^|/)models/[^/]+\.[jt]s$")
_ROOT: Final = re.compile(r"(?:^|/)(?:runtime|DefaultSinchClient)\.[jt]s$")
_OPERATION: Final = re.compile(r"\b(\w{1,80})Raw\s{0,4}(?:=\s{0,4}(?:async\s{1,4})?function\s{0,4})?\(")
_METHOD: Final = re.compile(r"\bmethod:\s{0,8}['\"]([A-Z]{3,7})['\"]")
_PATH: Final = re.compile(r"\b(?:path:|urlPath\s{0,4}=)\s{0,8}[`'\"](/[\w{}/.:-]{0,300})[`'\"]")
_QUERY: Final = re.compile(r"\bqueryParameters\[['\"]([\w.-]{1,80})['\"]\]")
_BODY: Final = re.compile(r"\bbody:\s{0,8}(?:\(0,\s{0,4})?(?:\w{1,80}\.)?(\w{1,80})ToJSON\b")
_RESULT: Final = re.compile(r"\b(\w{1,80})FromJSON\b")
_READER: Final = re.compile(r"\bfunction\s{1,4}(\w{1,80})FromJSONTyped\s{0,4}\(")
_MEMBER: Final = re.compile(r"json\[['\"]([\w.$-]{1,80})['\"]\]")
_ENUM: Final = re.compile(r"\b(?:const|var|let)\s{1,4}(\w{1,80})\s{0,4}=\s{0,4}\{([^{}]{1,4000})\}")
_VALUE: Final = re.compile(r"\w{1,80}['\"]?\s{0,4}:\s{0,4}['\"]([^'\"\\]{1,80})['\"]")
_BASE: Final = re.compile(r"\b(?:BASE_PATH|OCRA_PATH)\s{0,4}=\s{0,4}[`'\"]([\w/:.-]{1,300})[`'\"]")


@quick_dataclass(frozen=True, slots=True)
class FoundOperation:
    """One operation: its path has ``{parameters}``; ``request`` and ``result`` are models."""

    name: str
    verb: str
    path: str
    query: tuple[str, ...] = ()
    request: str | None = None
    result: str | None = None


@dataclass(slots=True)
class FoundApi:
    """What was found so far."""

    operations: dict[str, FoundOperation] = field(default_factory=dict)
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)  # members as they are on the wire
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    root: str | None = None  # of all paths


def is_of_interest(name: str) -> bool:
    """Whether a file of that name in a package says something of the API. Declarations (``.d.ts``) don't: they have no bodies."""
    return not name.endswith(".d.ts") and any(pattern.search(name) for pattern in (_API, _MODEL, _ROOT))


def read_file(found: FoundApi, name: str, text: str) -> None:
    """Add what one file says."""
    if _API.search(name):
        _read_operations(found, text)
    elif _MODEL.search(name):
        _read_models(found, text)
    elif (base := _BASE.search(text)) is not None:
        _read_root(found, base[1])


def _read_root(found: FoundApi, base: str) -> None:
    path = urlsplit(base).path.rstrip("/") if "://" in base else "/" + base.strip("/")
    if path.strip("/"):
        found.root = path


def _sections(pattern: re.Pattern[str], text: str) -> list[tuple[str, str]]:
    """Names that a pattern finds, each with the text up to the next."""
    heads = list(pattern.finditer(text))[:MAX_NAMES]
    ends = [*(head.start() for head in heads[1:]), len(text)][: len(heads)]
    return [(head[1], text[head.end() : end]) for head, end in zip(heads, ends, strict=True)]


def _read_operations(found: FoundApi, text: str) -> None:
    for name, body in _sections(_OPERATION, text):
        verb, path = _METHOD.search(body), _PATH.search(body)
        if verb is None or path is None or len(found.operations) >= MAX_NAMES:
            continue  # a call of it, or a declaration
        request, result = _BODY.search(body), _RESULT.search(body)
        query = tuple(dict.fromkeys(_QUERY.findall(body)))
        found.operations.setdefault(name, FoundOperation(name, verb[1], path[1], query, request and request[1], result and result[1]))


def _read_models(found: FoundApi, text: str) -> None:
    for name, body in _sections(_READER, text):
        members = tuple(dict.fromkeys(_MEMBER.findall(body.partition("ToJSON")[0])))
        if members and len(found.models) < MAX_NAMES:
            found.models.setdefault(name, members[:MAX_NAMES])
    for match in _ENUM.finditer(text):
        values = tuple(_VALUE.findall(match[2]))
        if values and len(found.enums) < MAX_NAMES:
            found.enums.setdefault(match[1], values)
