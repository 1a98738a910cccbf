"""Digest authentication, both sides (RFC 3261 22, RFC 7616, RFC 8760).

::

    401, 407 -> Answering.take -> Answering.headers -> the request again
    request -> Gate.check -> the user's name | Fault -> Gate.challenges -> 401, 407
"""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.message import HeaderLines, Request, Response
from sinchphone.protocol.sip.uri import SipUri, parse_uri, quoted, split_outside, unquoted
from sinchphone.quick_dataclass import quick_dataclass

MAX_CHALLENGES: Final = 8
MAX_TRIES: Final = 3  # a proxy or two and a server on the way, and a stale nonce
NONCES_REMEMBERED: Final = 10_000
_ALGORITHMS: Final = {"MD5": "md5", "MD5-SESS": "md5", "SHA-256": "sha256", "SHA-256-SESS": "sha256"}
_SCHEME: Final = re.compile(r"([A-Za-z0-9.!%*_+`'~-]+)\s+(?=\S+\s*=)")
_COUNT: Final = re.compile(r"[0-9a-fA-F]{8}")
_WINDOW: Final = 64  # of nonce counts: requests may overtake each other


@quick_dataclass(frozen=True, slots=True)
class Credentials:
    """A name and its password."""

    username: str
    password: str = field(repr=False)


@quick_dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for."""

    is_proxy: bool
    realm: str
    nonce: str
    algorithm: str = ""  # as the server writes it; empty where it doesn't: MD5
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    is_stale: bool = False


class Answering:
    """A client's side in one dialog: the challenges that were met, and how often each nonce was used."""

    def __init__(self, credentials: Credentials | None, new_token: Callable[[], str]) -> None:
        """``new_token`` makes a client nonce: 16 characters and more that can't be guessed."""
        self._credentials = credentials
        self._new_token = new_token
        self._challenges: dict[tuple[bool, str], Challenge] = {}
        self._counts: dict[str, int] = {}

    def take(self, response: Response, request: Request, tries: int) -> bool:
        """Whether it's worth sending ``request`` again: there is an answer to each challenge that it didn't have yet (RFC 3261 22.3).

        ``tries``: how often that was done for this request. Credentials that were sent unasked may just be too old.
        """
        if self._credentials is None or tries > MAX_TRIES:
            return False
        fresh: dict[tuple[bool, str], Challenge] = {}
        for challenge in read_challenges(response):
            fresh.setdefault((challenge.is_proxy, challenge.realm), challenge)  # the topmost that we can do (RFC 8760 2.4)
        if not fresh:
            return False
        for key, challenge in fresh.items():
            answered = _answered_nonces(request, challenge)
            if challenge.nonce in answered or (answered and tries and not challenge.is_stale):
                return False  # the password is wrong
            self._challenges[key] = challenge
        while len(self._challenges) > MAX_CHALLENGES:
            del self._challenges[next(iter(self._challenges))]
        return True

    def headers(self, method: str, uri: SipUri, body: bytes = b"") -> HeaderLines:
        """Authorization and Proxy-Authorization for every challenge that was met."""
        return tuple((_answer_name(one.is_proxy), self._answer(one, method, str(uri), body)) for one in self._challenges.values())

    def _answer(self, challenge: Challenge, method: str, uri: str, body: bytes) -> str:
        assert self._credentials is not None  # no challenge is kept without
        qop = "auth" if "auth" in challenge.qop else "auth-int" if "auth-int" in challenge.qop else ""
        count = self._counts.get(challenge.nonce, 0) + 1
        self._counts = {one.nonce: self._counts.get(one.nonce, 0) for one in self._challenges.values()}
        self._counts[challenge.nonce] = count
        words = [f"username={quoted(self._credentials.username)}", f"realm={quoted(challenge.realm)}", f"nonce={quoted(challenge.nonce)}"]
        cnonce, nc = self._new_token(), f"{count:08x}"
        fields = _Answered(self._credentials.username, challenge.realm, challenge.nonce, uri, qop, nc, cnonce, challenge.algorithm)
        words += [f"uri={quoted(uri)}", f"response={quoted(_compute(fields, self._credentials.password, method, body))}"]
        if challenge.algorithm:
            words.append(f"algorithm={challenge.algorithm}")
        if qop or challenge.algorithm.upper().endswith("-SESS"):
            words.append(f"cnonce={quoted(cnonce)}")
        if qop:
            words += [f"qop={qop}", f"nc={nc}"]
        if challenge.opaque is not None:
            words.append(f"opaque={quoted(challenge.opaque)}")
        return "Digest " + ", ".join(words)


@quick_dataclass(frozen=True, slots=True)
class Fault:
    """Why a request isn't let in. ``is_stale``: the password may be right, the nonce is too old. ``was_wrong``: somebody tried one."""

    is_stale: bool = False
    was_wrong: bool = False


class Gate:
    """A server's side: makes nonces, checks answers. ``now`` is in seconds of any clock that doesn't go back while this lives.

    A nonce is good for the host that it was made for (``source``) and no other: so nobody's answer counts as wrong who didn't hear the
    challenge, and a forged source address costs its owner nothing.
    """

    def __init__(
        self, realm: str, secret: bytes, *, algorithms: tuple[str, ...] = ("SHA-256", "MD5"), nonce_seconds: float = 300.0
    ) -> None:
        """``secret``: 32 random bytes."""
        self._realm = realm
        self._secret = secret
        self._algorithms = algorithms
        self._nonce_seconds = nonce_seconds
        self._used: OrderedDict[str, tuple[float, int, int]] = OrderedDict()  # issued at, highest count, which below it
        self._forgotten_at = float("-inf")  # nonces from before that may have been used

    def challenges(self, now: float, random: str, *, source: str = "", is_stale: bool = False) -> list[str]:
        """Values for WWW-Authenticate or Proxy-Authenticate, one for each algorithm. ``random``: 8 characters and more."""
        nonce = self._nonce(f"{now:.3f}", random, source)
        stale = ", stale=true" if is_stale else ""
        return [f'Digest realm={quoted(self._realm)}, nonce="{nonce}", algorithm={one}, qop="auth"{stale}' for one in self._algorithms]

    def check(
        self, request: Request, now: float, password_of: Callable[[str], str | None], *, is_proxy: bool, source: str = ""
    ) -> str | Fault:
        """The user who proved to know the password, or why not. An unknown user takes as long as a wrong password.

        Older clients answer without ``qop``, and so without a count (RFC 3261 22.4, RFC 2617 3.2.2).
        """
        answer = self._find(request.all("Proxy-Authorization" if is_proxy else "Authorization"))
        if answer is None:
            return Fault()
        if not self._is_ours(answer.nonce, now, source):
            return Fault(is_stale=True)
        if not _is_target(answer.uri, request.uri) or answer.qop not in ("auth", "") or answer.algorithm.upper() not in self._algorithms:
            return Fault(was_wrong=True)
        password = password_of(answer.username)
        right = _compute(answer, password if password is not None else self._secret.hex(), request.method, b"")
        if not hmac.compare_digest(right.encode(), answer.response.lower().encode("utf-8", "replace")) or password is None:
            return Fault(was_wrong=True)
        if not self._is_first(answer.nonce, _count_of(answer)):
            return Fault(is_stale=True)
        return answer.username

    def proof_of(self, request: Request, *, is_proxy: bool) -> str:
        """What an answer that was let in has used up, as text: its nonce, with that count. Who knows of other servers that take the same
        nonces lets in only who is the first with it."""
        answer = self._find(request.all("Proxy-Authorization" if is_proxy else "Authorization"))
        return "" if answer is None else f"{answer.nonce}:{_count_of(answer)}"

    def _find(self, values: Iterable[str]) -> "_Answered | None":
        for value in values:
            scheme, fields = _read_fields(value)
            counted = "qop" not in fields or _COUNT.fullmatch(fields.get("nc", "")) is not None
            if scheme == "digest" and fields.get("realm") == self._realm and counted:
                names = ("username", "realm", "nonce", "uri", "qop", "nc", "cnonce", "response")
                return _Answered(**{name: fields.get(name, "") for name in names}, algorithm=fields.get("algorithm", "MD5"))
        return None

    def _nonce(self, issued: str, random: str, source: str) -> str:
        mark = hmac.new(self._secret, f"{self._realm}|{issued}|{source}|{random}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[
            :32
        ]
        return f"{issued}-{random}-{mark}"

    def _is_ours(self, nonce: str, now: float, source: str) -> bool:
        issued, _, rest = nonce.partition("-")
        if not hmac.compare_digest(self._nonce(issued, rest.rpartition("-")[0], source).encode(), nonce.encode("utf-8", "replace")):
            return False
        return abs(now - float(issued)) <= self._nonce_seconds and (nonce in self._used or float(issued) > self._forgotten_at)

    def _is_first(self, nonce: str, count: int) -> bool:
        """Whether that nonce wasn't used with that count: what was overheard can't be sent again."""
        issued, highest, below = self._used.get(nonce, (float(nonce.partition("-")[0]), 0, 0))
        if count > highest:
            below = (below << min(count - highest, _WINDOW) | 1 << min(count - highest, _WINDOW) - 1) & (1 << _WINDOW) - 1 if highest else 0
            highest = count
        else:
            place = highest - count - 1
            if count == 0 or not 0 <= place < _WINDOW or below >> place & 1:
                return False
            below |= 1 << place
        self._used[nonce] = (issued, highest, below)
        if len(self._used) > NONCES_REMEMBERED:
            _, (oldest, _, _) = self._used.popitem(last=False)
            self._forgotten_at = max(self._forgotten_at, oldest)
        return True


@quick_dataclass(frozen=True, slots=True)
class _Answered:
    username: str
    realm: str
    nonce: str
    uri: str
    qop: str
    nc: str
    cnonce: str
    algorithm: str
    response: str = ""


def _count_of(answer: _Answered) -> int:
    """Without a count each nonce is good for once."""
    return int(answer.nc, 16) if answer.qop else 1


def read_challenges(response: Response) -> list[Challenge]:
    """The challenges in a 401 or 407 that we can answer, the topmost first; what can't be read is passed over."""
    found = []
    for is_proxy, name in ((False, "WWW-Authenticate"), (True, "Proxy-Authenticate")):
        for value in _split_challenges(response.all(name)):
            scheme, fields = _read_fields(value)
            algorithm = fields.get("algorithm", "")
            if scheme != "digest" or "nonce" not in fields or (algorithm.upper() or "MD5") not in _ALGORITHMS:
                continue
            qop = tuple(one.strip().lower() for one in fields.get("qop", "").split(",") if one.strip())
            if qop and not {"auth", "auth-int"} & set(qop):
                continue
            stale = fields.get("stale", "").lower() == "true"
            found.append(Challenge(is_proxy, fields.get("realm", ""), fields["nonce"], algorithm, qop, fields.get("opaque"), stale))
    return found[:MAX_CHALLENGES]


def _split_challenges(values: list[str]) -> list[str]:
    """Each challenge by itself; some servers join several with commas."""
    found: list[str] = []
    for value in values:
        for part in split_outside(value, ","):
            if _SCHEME.match(part) or not found:
                found.append(part)
            else:
                found[-1] += f", {part}"
    return found


def _read_fields(value: str) -> tuple[str, dict[str, str]]:
    """The scheme in lower case, and its parameters."""
    scheme, _, rest = value.strip().partition(" ")
    fields: dict[str, str] = {}
    for part in split_outside(rest, ","):
        name, separator, text = part.partition("=")
        if separator:
            fields.setdefault(name.strip().lower(), unquoted(text.strip()))
    return scheme.lower(), fields


def _compute(fields: _Answered, password: str, method: str, body: bytes) -> str:
    """The response of RFC 7616 3.4.1."""
    algorithm = fields.algorithm.upper() or "MD5"

    def digest(data: bytes) -> str:
        return hashlib.new(_ALGORITHMS[algorithm], data, usedforsecurity=False).hexdigest()

    secret = digest(f"{fields.username}:{fields.realm}:{password}".encode("utf-8", "replace"))
    if algorithm.endswith("-SESS"):
        secret = digest(f"{secret}:{fields.nonce}:{fields.cnonce}".encode("utf-8", "replace"))
    what = f"{method}:{fields.uri}" + (f":{digest(body)}" if fields.qop == "auth-int" else "")
    asked = digest(what.encode("utf-8", "replace"))
    middle = f"{fields.nonce}:{fields.nc}:{fields.cnonce}:{fields.qop}" if fields.qop else fields.nonce
    return digest(f"{secret}:{middle}:{asked}".encode("utf-8", "replace"))


def _answered_nonces(request: Request, challenge: Challenge) -> set[str]:
    answers = [_read_fields(value)[1] for value in request.all(_answer_name(challenge.is_proxy))]
    return {one.get("nonce", "") for one in answers if one.get("realm") == challenge.realm}


def _answer_name(is_proxy: bool) -> str:
    return "Proxy-Authorization" if is_proxy else "Authorization"


def _is_target(text: str, uri: SipUri) -> bool:
    """Whether the answer was made for that request: user and host are compared, since proxies add and drop parameters."""
    try:
        meant = parse_uri(text)
    except RemoteProtocolError:
        return False
    return (meant.user, meant.host.lower()) == (uri.user, uri.host.lower())
