"""Sends pushes to the devices that can be woken (RFC 8030): to our own push service, and to others within the exchange's address policy.

::

    endpoint ours?   -> PushService.take
    https, or http on this machine while we listen there alone -> POST, 201 or 202
       404, 410      -> the subscription is gone: it's deleted
       429, 5xx, no answer -> again, as long as there's time
       anything else -> refused; why is in the log, and the subscription stays
"""

import asyncio
import logging
import secrets
import time
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from sinchphone.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from sinchphone.exchange.access.address_policy import AddressPolicy, AddressRefusedError
from sinchphone.exchange.access.admission import is_loopback
from sinchphone.exchange.directory.devices import Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.push.sender_key import SenderKey
from sinchphone.exchange.push.service import PushMessage, PushRefusedError
from sinchphone.exchange.push.shared_service import SharedPushService
from sinchphone.exchange.refusals import RefusedError, invalid
from sinchphone.protocol.webpush.encryption import CONTENT_ENCODING, encrypt_push
from sinchphone.protocol.webpush.keys import RANDOM_KEY_BYTES, KeyPair, read_point
from sinchphone.protocol.webpush.records import SALT_BYTES
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.protocol.webpush.vapid import write_vapid
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.wire import ErrorCode

TRY_S: Final = 5.0  # for one answer
TIME_S: Final = 20.0  # for all tries: a call rings for a minute
FIRST_PAUSE_S: Final = 0.5  # before the second try, then twice as long each time
MAX_AT_ONCE: Final = 32
_SHOWN_BYTES: Final = 300  # of a push service's answer, in the log

_logger = logging.getLogger(__name__)


@quick_dataclass(frozen=True, slots=True)
class PushOutcome:
    """What became of a push: accepted by the push service, or the reason why not, for people."""

    accepted: bool
    reason: str = ""


@quick_dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_s: float | None = None
    text: str = ""


class PushSender:
    """Sends for one exchange."""

    def __init__(
        self, addresses: AddressPolicy, listens_on: str, directory: Directory, service: SharedPushService, key: SenderKey, contact: str
    ) -> None:
        """``contact`` is what push services are told about who we are (mailto: or https:)."""
        self._addresses = addresses
        self._is_local = is_loopback(listens_on)
        self._directory = directory
        self._service = service
        self._key = key
        self._contact = contact
        self._session: aiohttp.ClientSession | None = None
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)

    async def public_key(self) -> bytes:
        """The key that subscriptions are for. Raises StoreError."""
        return (await self._key.pair()).public_bytes

    async def check(self, subscription: PushSubscription) -> None:
        """Raises RefusedError for a subscription that could never be used: another scheme than https, a host inside, keys that are none."""
        try:
            read_point(subscription.p256dh, "w3c.p256dh")
            parts = urlsplit(subscription.endpoint)
            host = parts.hostname or ""
            odd = parts.username is not None or parts.port == 0 or not subscription.endpoint.isascii()
        except (RemoteProtocolError, ValueError) as error:
            raise invalid(str(error)) from error
        if odd or not host:
            raise invalid("w3c.endpoint should be the URL of a push service")
        try:
            if await self._service.owns(subscription.endpoint):
                return
        except PushRefusedError as refusal:
            raise RefusedError(refusal.status, ErrorCode.INTERNAL, str(refusal), retry_s=refusal.retry_s) from refusal
        if parts.scheme != "https" and not (parts.scheme == "http" and self._is_local and is_loopback(host)):
            raise invalid("w3c.endpoint should be an https: URL")
        try:
            self._addresses.check_host(host)
        except AddressRefusedError as error:
            raise invalid(f"w3c.endpoint: {error}") from error

    async def send(self, device: Device, plaintext: bytes, *, topic: str, ttl_s: int) -> PushOutcome:
        """Push to a device; returns when the push service has it, or when it's clear that it won't. Cancelling it is safe."""
        subscription = device.push
        if subscription is None:
            return PushOutcome(accepted=False, reason="its push subscription is gone")
        try:
            pair = await self._key.pair()
            body = encrypt_push(
                plaintext,
                subscription,
                sender=KeyPair.from_random(secrets.token_bytes(RANDOM_KEY_BYTES)),
                salt=secrets.token_bytes(SALT_BYTES),
            )
        except (ConfigError, LocalProtocolError, RemoteProtocolError) as error:
            return PushOutcome(accepted=False, reason=str(error))
        headers = {
            "TTL": str(ttl_s),
            "Topic": topic,
            "Urgency": "high",
            "Content-Encoding": CONTENT_ENCODING,
            "Content-Type": "application/octet-stream",
            "Authorization": write_vapid(pair, subscription.endpoint, self._contact, time.time()),
        }
        return await self._try(device, subscription, headers, body)

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def _try(self, device: Device, subscription: PushSubscription, headers: dict[str, str], body: bytes) -> PushOutcome:
        loop = asyncio.get_running_loop()
        deadline, pause_s, why = loop.time() + TIME_S, FIRST_PAUSE_S, "the push service doesn't answer"
        while True:
            try:
                answer = await self._post(subscription.endpoint, headers, body, deadline)
            except (AddressRefusedError, ValueError) as error:  # it can never be used
                self._forget(device, subscription)
                return PushOutcome(accepted=False, reason=f"its push service can't be reached: {error}")
            except (OSError, aiohttp.ClientError, TimeoutError) as error:
                _logger.info("a push service doesn't answer: %s", type(error).__name__)
                answer, why = _Answer(0), "the push service doesn't answer"
            outcome = self._judge(device, subscription, answer)
            if outcome is not None:
                return outcome
            if answer.status:
                why = f"the push service has no time for it (status {answer.status})"
            wait_s = max(pause_s, answer.retry_s or 0.0)
            if loop.time() + wait_s >= deadline:
                return PushOutcome(accepted=False, reason=why)
            await asyncio.sleep(wait_s)
            pause_s *= 2

    def _judge(self, device: Device, subscription: PushSubscription, answer: _Answer) -> PushOutcome | None:
        """What a status means; None where it's worth another try (RFC 8030 5, 7.3, 8.4)."""
        if 200 <= answer.status < 300:
            return PushOutcome(accepted=True)
        if answer.status in (404, 410):
            self._forget(device, subscription)
            return PushOutcome(accepted=False, reason="its push subscription is gone")
        if answer.status in (0, 408, 429) or answer.status >= 500:
            return None
        _logger.warning("a push service refuses (%d): %r", answer.status, answer.text)
        return PushOutcome(accepted=False, reason=f"the push service refuses (status {answer.status})")

    def _forget(self, device: Device, subscription: PushSubscription) -> None:
        if device.push == subscription:
            self._directory.set_push(device, None)

    async def _post(self, endpoint: str, headers: dict[str, str], body: bytes, deadline: float) -> _Answer:
        """Only who asks another service has one of the places, as long as it's asked."""
        now = asyncio.get_running_loop().time
        async with asyncio.timeout_at(min(deadline, now() + TRY_S)):
            if (answer := await self._take(endpoint, headers, body)) is not None:
                return answer
        self._session = self._session or self._addresses.session()
        async with (
            asyncio.timeout_at(deadline),
            self._at_once,
            asyncio.timeout_at(min(deadline, now() + TRY_S)),
            self._session.post(endpoint, data=body, headers=headers, allow_redirects=False) as response,
        ):
            text = (await response.content.read(_SHOWN_BYTES)).decode("latin-1")
            return _Answer(response.status, _seconds(response.headers.get("Retry-After", "")), text)

    async def _take(self, endpoint: str, headers: dict[str, str], body: bytes) -> _Answer | None:
        """What our own push service answers, where it's one of its endpoints."""
        message = PushMessage(headers["TTL"], headers["Topic"], headers["Content-Encoding"], headers["Authorization"], body)
        try:
            if not await self._service.owns(endpoint):
                return None
            await self._service.take(endpoint.rpartition("/")[2], message, time.time())
        except PushRefusedError as refusal:
            return _Answer(refusal.status, refusal.retry_s, str(refusal))
        return _Answer(201)


def _seconds(text: str) -> float | None:
    """Of a Retry-After header; None for a date, and for nothing."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None
