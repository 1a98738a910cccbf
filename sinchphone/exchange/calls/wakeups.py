"""Wakes the sleeping devices of a called user.

::

    call placed -> (the caller asks, or GRACE_S) -> a push to each -> accepted: once the device listens, its INVITE again
                                                                   -> not:      ERROR in the device's name, so that the caller knows
"""

import asyncio
import hashlib
import time
from collections.abc import Collection, Sequence
from typing import Final

from sinchphone.exchange.calls.delivery import SETUP_SECONDS, Caller, post_broadcast
from sinchphone.exchange.calls.watch import post_message
from sinchphone.exchange.directory.devices import Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.push.sender import PushOutcome, PushSender
from sinchphone.exchange.refusals import RefusedError
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Client, Message, Method, encode_failure
from sinchphone.protocol.webpush.keys import write_base64
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CallRequest, Placement
from sinchphone.signaling.push.notification import CallNotification, write_content
from sinchphone.signaling.wire import ErrorCode

GRACE_S: Final = 0.5  # for a caller to ask, who then says under what name; those who don't ask are pushed for all the same
ANSWER_S: Final = 1.0  # so long who asks waits for the push services
TTL_S: Final = 60  # a call rings no longer
LISTENS_S: Final = 0.02  # how often we look whether a device listens
UNAVAILABLE: Final = 480  # RFC 3261 21.4.18


@quick_dataclass(frozen=True, slots=True)
class Sleeper:
    """A device that sleeps, and the frames of its INVITE."""

    device: Device
    frames: Sequence[str]


class Wakeup:
    """Wakes the devices of one call. ``run`` goes on until it is cancelled, when the call is answered or over."""

    def __init__(
        self,
        pushes: PushSender,
        broker: Broker,
        directory: Directory,
        caller: Caller,
        request: CallRequest,
        placement: Placement,
        sleepers: Sequence[Sleeper],
    ) -> None:
        self._pushes = pushes
        self._broker = broker
        self._directory = directory
        self._caller = caller
        self._request = request
        self._placement = placement
        self._sleepers = sleepers
        self._display_name: str | None = None
        self._asked = asyncio.Event()
        self._outcomes: dict[str, PushOutcome] = {}
        self._news = asyncio.Condition()

    async def run(self) -> None:
        """Push, and deliver INVITEs to those that wake up."""
        try:
            async with asyncio.timeout(GRACE_S):
                await self._asked.wait()
        except TimeoutError:
            pass
        async with asyncio.TaskGroup() as group:
            for sleeper in self._sleepers:
                group.create_task(self._wake(sleeper), name=f"wake {sleeper.device.instance_id}")

    async def ask(self, instance_ids: Collection[str], display_name: str) -> None:
        """The caller asks for pushes to these devices; returns when one of them has it, is awake, or may have it yet. Raises RefusedError
        where none could be sent."""
        self._display_name = display_name or None
        self._asked.set()
        wanted = {*instance_ids}
        sleeping = {sleeper.device.instance_id for sleeper in self._sleepers}
        if not wanted <= sleeping:
            return
        try:
            async with asyncio.timeout(ANSWER_S), self._news:
                await self._news.wait_for(lambda: self._accepted(wanted) or wanted <= self._outcomes.keys())
        except TimeoutError:
            return
        if not self._accepted(wanted):
            reasons = dict.fromkeys(self._outcomes[name].reason for name in instance_ids)
            raise RefusedError(502, ErrorCode.INTERNAL, f"no device could be woken: {'; '.join(reasons)}")

    def _accepted(self, wanted: Collection[str]) -> bool:
        return any(self._outcomes[name].accepted for name in wanted if name in self._outcomes)

    async def _wake(self, sleeper: Sleeper) -> None:
        device, content = sleeper.device, write_content(self._notification())
        outcome = await self._pushes.send(device, content, topic=_topic_of(self._request.call_id), ttl_s=TTL_S)
        async with self._news:
            self._outcomes[device.instance_id] = outcome
            self._news.notify_all()
        if not outcome.accepted:
            self._tell_caller(device, f"{device.user_id}'s device could not be woken: {outcome.reason}")
            return
        for _ in range(round(SETUP_SECONDS / LISTENS_S)):
            if not self._directory.is_silent(device):
                break
            await asyncio.sleep(LISTENS_S)
        for frame in sleeper.frames:
            post_broadcast(self._broker, device, frame, self._caller.instance_id)

    def _notification(self) -> CallNotification:
        caller, request = self._caller.client, self._request
        return CallNotification(
            call_id=request.call_id,
            remote_user_id=caller.user_id or caller.caller_id or "anonymous",
            sent_at=time.time(),
            domain=request.domain,
            is_video_offered="\nm=video " in request.offer.sdp,
            headers=request.headers,
            display_name=self._display_name,
        )

    def _tell_caller(self, device: Device, reason: str) -> None:
        """What the device would say if it could: that it's out."""
        client, caller = Client(device.user_id, device.instance_id, device.identity.signal_channel), self._caller
        failure = encode_failure(CallFailure(UNAVAILABLE, reason, "exchange"))
        message = Message(Method.ERROR, client, BodyType.ERROR, failure, {"to": caller.client.instance_id})
        post_message(self._broker, caller.application.signal.subscribe_key, caller.client.channel, message, self._placement)


def _topic_of(call_id: str) -> str:
    """A call's pushes replace each other (RFC 8030 5.4)."""
    return write_base64(hashlib.sha256(call_id.encode()).digest()[:18])
