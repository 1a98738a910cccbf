"""Single requests to a PubNub-compatible broker (PubNub REST): subscribe, long poll with heartbeats, leave, time, publish."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote

import aiohttp

from sinchphone.errors import ForbiddenError, LocalProtocolError, NetworkError, PlatformError, SinchphoneError
from sinchphone.signaling.http.transport import HttpAnswer, OversizedAnswerError, request
from sinchphone.signaling.pubsub.answers import read_refusal

POLL_TIMEOUT_S = 310.0  # PubNub's clients wait so long; the broker answers a little earlier
REQUEST_TIMEOUT_S = 10.0
LEAVE_TIMEOUT_S = 2.0  # a good-bye is brief
HEARTBEAT_S = 60.0  # while a poll is held; two that don't get through mean that the connection is dead
PRESENCE_S = 150  # after which the broker counts us as gone
MAX_ANSWER_BYTES = 4 * 1024 * 1024  # 100 messages of 32 KiB and their envelopes
MAX_CHANNELS = 64


class BrokerRequests:
    """Requests to one broker with one pair of keys. ``origin`` is ``host`` or ``host:port``.

    ``channels`` are joined and percent-encoded already. Methods raise NetworkError or OversizedAnswerError; cancelling them is safe.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        origin: str,
        secure: bool,
        subscribe_key: str,
        uuid: str,
        poll_timeout_s: float,
        heartbeat_s: float,
    ) -> None:
        self._session = session
        self._base = f"{'https' if secure else 'http'}://{origin}"
        self._subscribe_key = segment(subscribe_key)
        self._identity = f"uuid={segment(uuid)}&pnsdk=sinchphone"
        self._poll_timeout_s = poll_timeout_s
        self._heartbeat_s = heartbeat_s
        self._held: set[asyncio.Task[HttpAnswer | SinchphoneError]] = set()  # a poll of each subscription
        self.heartbeats = 0

    def renew(self) -> None:
        """Give up the polls that are held, for new ones over new connections: those that they came over may be dead."""
        held, self._held = self._held, set()
        for poll in held:
            poll.cancel()

    async def poll(self, channels: str, timetoken: str, region: int | None) -> HttpAnswer | SinchphoneError | None:
        """A long poll from a timetoken on, with heartbeats meanwhile; from 0 on it's answered at once. Errors are given back;
        ``None``: it was given up by ``renew``."""
        if timetoken == "0":
            return await self._subscribe(channels, timetoken, region, REQUEST_TIMEOUT_S)
        async with asyncio.TaskGroup() as group:
            polling = self._subscribe(channels, timetoken, region, self._poll_timeout_s)
            poll = group.create_task(polling, name="pub/sub poll")
            pulse = group.create_task(self._beat(channels), name="pub/sub heartbeat")
            self._held.add(poll)
            try:
                await asyncio.wait({poll, pulse}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                renewed = poll not in self._held
                self._held.discard(poll)
            pulse.cancel()
            poll.cancel()
        if poll.cancelled() and renewed:
            return None
        if poll.cancelled():
            return NetworkError("the broker doesn't answer heartbeats", hint="check the network connection")
        return poll.result()

    async def leave(self, channels: str) -> None:
        """Say good-bye, briefly. It's a courtesy: whether it arrives doesn't matter."""
        with suppress(NetworkError, OversizedAnswerError):
            await self._get(f"{self._presence(channels)}/leave", timeout_s=LEAVE_TIMEOUT_S)

    async def time(self) -> HttpAnswer:
        """The broker's time."""
        return await self._get("/time/0")

    def publish_request(self, publish_key: str, channel: str, text: str, max_url_characters: int) -> tuple[str, bytes | None]:
        """URL and body of a publish: the JSON text is in the URL, or in the body where the URL would be too long."""
        path = f"{self._base}/publish/{segment(publish_key)}/{self._subscribe_key}/0/{channel}/0"
        url = f"{path}/{segment(text)}?{self._identity}"
        return (url, None) if len(url) <= max_url_characters else (f"{path}?{self._identity}", text.encode())

    async def publish(self, url: str, body: bytes | None, *, timeout_s: float) -> HttpAnswer:
        """Send what ``publish_request`` made."""
        method, headers = ("GET", None) if body is None else ("POST", {"Content-Type": "application/json"})
        return await request(self._session, method, url, timeout_s=timeout_s, limit_bytes=MAX_ANSWER_BYTES, body=body, headers=headers)

    async def _subscribe(self, channels: str, timetoken: str, region: int | None, timeout_s: float) -> HttpAnswer | SinchphoneError:
        query = f"tt={timetoken}&" + ("" if region is None else f"tr={region}&") + f"heartbeat={PRESENCE_S}&"
        try:
            return await self._get(f"/v2/subscribe/{self._subscribe_key}/{channels}/0", query, timeout_s=timeout_s)
        except (NetworkError, OversizedAnswerError) as error:
            return error

    async def _beat(self, channels: str) -> None:
        """Send heartbeats; ends when two in a row got no answer."""
        failures = 0
        while failures < 2:
            await asyncio.sleep(self._heartbeat_s)
            try:
                await self._get(f"{self._presence(channels)}/heartbeat", f"heartbeat={PRESENCE_S}&")
                failures = 0
                self.heartbeats += 1
            except (NetworkError, OversizedAnswerError):
                failures += 1

    def _presence(self, channels: str) -> str:
        return f"/v2/presence/sub-key/{self._subscribe_key}/channel/{channels}"

    async def _get(self, path: str, query: str = "", *, timeout_s: float = REQUEST_TIMEOUT_S) -> HttpAnswer:
        url = f"{self._base}{path}?{query}{self._identity}"
        return await request(self._session, "GET", url, timeout_s=timeout_s, limit_bytes=MAX_ANSWER_BYTES)


def refusal(answer: HttpAnswer, action: str) -> SinchphoneError | None:
    """Why the broker didn't do it; None where it did."""
    words = read_refusal(answer.body)
    text = f"can't {action}: {words or f'the broker answered {answer.status}'}"
    if answer.status == 200:
        return None
    if answer.status in (401, 403):
        return ForbiddenError(text)
    if answer.status in (413, 414, 431) or "too large" in words.lower():
        return PlatformError(f"can't {action}: the message is too long for the broker ({words or answer.status})", status=answer.status)
    return PlatformError(text, status=answer.status)


def is_final(answer: HttpAnswer) -> bool:
    """Whether trying again is pointless: the broker itself refused (4xx), rather than something on the way or for now."""
    return 400 <= answer.status < 500 and answer.status not in (404, 408, 425, 429)


def segment(text: str) -> str:
    return quote(text, safe="!~*'()")


def joined(channels: Sequence[str]) -> str:
    """Channel names as they stand in a path. Raises LocalProtocolError for names that can't."""
    if not 0 < len(channels) <= MAX_CHANNELS or any(not name or "," in name or not name.isprintable() for name in channels):
        raise LocalProtocolError("there must be some channels, whose names have no comma")
    return ",".join(segment(name) for name in channels)
