"""Who answers on the exchange's port, and whether that is ours, as it must prove: anybody on this machine can take the port."""

import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Final

import aiohttp

from sinchphone.errors import NetworkError
from sinchphone.exchange.directory.identity import exchange_proof
from sinchphone.exchange.options import SERVICE, ApplicationCredentials, HostKind
from sinchphone.exchange.pubsub.origin import addresses_of
from sinchphone.hosts import join_host
from sinchphone.protocol.auth import decode_secret
from sinchphone.quick_dataclass import quick_dataclass

_MAX_ANSWER_BYTES: Final = 4096


class Found(Enum):
    """Who answers on the port."""

    OURS = "our exchange"
    NOBODY = "nobody listens"
    SILENT = "somebody listens, but gave no answer (yet)"
    ANOTHER_EXCHANGE = "an exchange that doesn't know our application"
    ANOTHER_PROGRAM = "no exchange"


@quick_dataclass(frozen=True, slots=True)
class HostAnswer:
    """Who answers, and what our exchange says of its process: ``exchange.control.Hosting``."""

    found: Found
    version: tuple[int, ...] = ()
    kind: HostKind = HostKind.PROGRAM
    settings: str = ""
    host_id: str = ""


@quick_dataclass(frozen=True, slots=True)
class ExchangeProbe:
    """Asks at one place."""

    credentials: ApplicationCredentials
    host: str
    port: int
    asker: str = field(default_factory=lambda: secrets.token_hex(16))  # who asks, so that the exchange tells us from others

    @property
    def url(self) -> str:
        """The base URL of whatever answers."""
        return f"http://{join_host(self.host, self.port)}"

    async def ask(self, seconds: float) -> HostAnswer:
        """Who is there, within that time. Cancelling is safe."""
        if self.port == 0:
            return HostAnswer(Found.NOBODY)
        challenge = secrets.token_hex(16)
        asked = {"application": self.credentials.key, "challenge": challenge, "asker": self.asker}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
                session.get(self.url, params=asked, allow_redirects=False) as answer,
            ):
                if answer.status >= 500:
                    return HostAnswer(Found.SILENT)  # it's just ending
                servers = await addresses_of(self.host, self.port)
                return self._judge(await _read(answer.content), challenge, servers)
        except aiohttp.ClientConnectorError:
            return HostAnswer(Found.NOBODY)
        except (TimeoutError, aiohttp.ClientConnectionError):
            return HostAnswer(Found.SILENT)
        except (aiohttp.ClientError, ValueError):
            return HostAnswer(Found.ANOTHER_PROGRAM)

    def _judge(self, body: bytes, challenge: str, servers: Sequence[str]) -> HostAnswer:
        """``servers`` are the addresses that were asked: a proof that was passed on from elsewhere is none. Raises ValueError where the
        body isn't JSON."""
        identity = json.loads(body)
        if not isinstance(identity, dict) or identity.get("service") != SERVICE:
            return HostAnswer(Found.ANOTHER_PROGRAM)
        proof, secret = str(identity.get("proof")).encode(errors="replace"), decode_secret(self.credentials.secret)
        if not any(hmac.compare_digest(proof, exchange_proof(secret, challenge, server).encode()) for server in servers):
            return HostAnswer(Found.ANOTHER_EXCHANGE)
        return _ours(identity)

    def unusable(self, found: Found) -> NetworkError:
        """The error about what was found instead of our exchange."""
        where = f"{self.host}:{self.port}"
        match found:
            case Found.ANOTHER_EXCHANGE:
                return NetworkError(
                    f"the exchange on {where} is not yours: it doesn't know your application",
                    hint="another user of this machine runs it, or you with another state folder; "
                    "choose another port: [exchange] port = 4601 in your config.toml",
                )
            case Found.ANOTHER_PROGRAM:
                return NetworkError(
                    f"the program that listens on {where} is no exchange",
                    hint="stop it, or choose another port: [exchange] port = 4601 in your config.toml",
                )
            case _:
                return NetworkError(
                    f"whatever listens on {where} doesn't answer",
                    hint="where that is a suspended sinchphone (Ctrl-Z), let it go on (fg); else stop it, or choose another port",
                )


def release_of(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, which can be compared."""
    found = re.match(r"\d{1,9}(\.\d{1,9}){0,9}", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def _ours(identity: dict[str, Any]) -> HostAnswer:
    kinds = {kind.value: kind for kind in HostKind}
    return HostAnswer(
        Found.OURS,
        release_of(str(identity.get("version", ""))),
        kinds.get(str(identity.get("kind")), HostKind.PROGRAM),
        str(identity.get("settings", "")),
        str(identity.get("id", "")),
    )


async def _read(content: aiohttp.StreamReader) -> bytes:
    """The body, or as much of it as an exchange may say about itself."""
    body = b""
    while len(body) < _MAX_ANSWER_BYTES and (chunk := await content.read(_MAX_ANSWER_BYTES)):
        body += chunk
    return body
