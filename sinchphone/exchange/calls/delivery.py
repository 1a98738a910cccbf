"""What the exchange itself sends to the devices of a called user: the INVITE, and what the caller sends before it knows them."""

import asyncio
import base64
import os
import secrets
from collections.abc import Sequence
from dataclasses import replace

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.calls.line import post
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.pubsub.polling import watched
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encrypt, parse_fragment, split
from sinchphone.protocol.mxp.public_headers import encode_public_headers
from sinchphone.protocol.sdp.jsep import encode_description
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import DISPLAY_NAME_HEADER, DOMAIN_HEADER, MAX_DISPLAY_NAME_CHARACTERS, CallRequest, Domain

LATE_SECONDS = 0.4  # after an INVITE a legacy client needs some 300 ms before a CANCEL is of use to it
LISTENS_SECONDS = 0.05  # how often we look whether it listens
MAX_HELD_FRAMES = 16  # of one call
SETUP_SECONDS = 90.0  # after this nobody sends to a call's own channel any more (call setup takes 60 s at most)


@quick_dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """Who calls: a user's device, or the gateway for somebody who has none.

    ``client`` is what the called end sees of it and where its answers go, ``instance_id`` who publishes.
    """

    application: Application
    client: Client
    instance_id: str
    device: Device | None = None

    @classmethod
    def of_device(cls, device: Device, request: CallRequest, sub_instance: str = "") -> "Caller":
        """A user's device that places a call; ``sub_instance`` is part of what a legacy device is called."""
        return cls(device.application, client_of(device, request, sub_instance), device.instance_id, device)


def client_of(device: Device, request: CallRequest, sub_instance: str = "") -> Client:
    """A caller's device, as the called end sees it. ``fi`` must be what the caller itself will use."""
    address = f"{device.instance_id}:{sub_instance}" if sub_instance else device.instance_id
    return Client(device.user_id, address, device.identity.signal_channel, caller_id=_number_shown(request))


def _number_shown(request: CallRequest) -> str:
    """A caller id is for phone calls; between users it would let anybody pose as anybody."""
    return "" if request.domain is Domain.MXP else request.caller_id or ""


def invite_frames(caller: Client, callee: Device, request: CallRequest, session_key: bytes, no_media: bool = False) -> list[str]:
    """An INVITE for one device, under its own key (MXP v10, INVITE). Raises LocalProtocolError where it gets too long."""
    headers = {
        "to": callee.instance_id,
        "key": base64.b64encode(session_key).decode(),
        "sdp": encode_description(request.offer),
        **encode_public_headers(request.headers),
    }
    if no_media:
        headers["nomedia"] = "true"
    if request.domain is not Domain.MXP:
        headers[DOMAIN_HEADER] = request.domain.value
    if request.display_name:
        headers[DISPLAY_NAME_HEADER] = request.display_name[:MAX_DISPLAY_NAME_CHARACTERS]
    if callee.legacy and not caller.user_id:
        caller = replace(caller, user_id=caller.caller_id)  # the only name that these show
    message = Message(Method.INVITE, caller, BodyType.MEDIA, "", headers)
    tag = str(secrets.randbelow(2_000_000_000))
    return split(encrypt(message, callee.identity.mxp_key, os.urandom(16)), request.call_id, tag)


def post_broadcast(broker: Broker, device: Device, payload: object, publisher: str) -> None:
    """Publish on a device's broadcast channel. Raises BrokerError."""
    post(broker, device.application.broadcast.subscribe_key, device.identity.broadcast_channel, payload, publisher)


class SignalForwarder:
    """Passes on the frames that the caller sends while it doesn't know any of the called devices (CANCEL, that is).

    They go to both channels of each device: on the broadcast channel they can't overtake the INVITE, on the signal channel is where
    clients look for them. A message that comes twice does no harm in MXP.

    A legacy device subscribes its signal channel only when it has the INVITE, and can't make use of a frame that comes together with
    it: there the frames wait until it listens.
    """

    def __init__(
        self,
        broker: Broker,
        caller: Caller,
        callees: Sequence[Device],
        call_id: str,
        channel: str,
        token: int,
        *,
        is_taken_on: bool = False,
    ) -> None:
        """``is_taken_on``: another process may have passed on some of it."""
        self._broker = broker
        self._caller = caller
        self._callees = [callee for callee in callees if not callee.legacy]
        self._late = [callee for callee in callees if callee.legacy]
        self._held: list[object] = []
        self._came = asyncio.Event()
        self._call_id = call_id
        self._channel = channel
        self._token = self._began_at = token
        self._is_taken_on = is_taken_on

    async def run(self) -> None:
        """Pass on what comes, until calls are either up or given up."""
        try:
            async with asyncio.timeout(SETUP_SECONDS), asyncio.TaskGroup() as group:
                for callee in self._late:
                    group.create_task(self._serve_late(callee), name=f"relay {self._call_id} later")
                async for _ in watched(self._broker, self._subscribe_key, self._channel, self._token):
                    self.forward()
        except TimeoutError:
            return

    def forward(self) -> None:
        """Pass on what came and wasn't yet."""
        for posted in self._broker.since(self._subscribe_key, (self._channel,), self._token):
            self._token = posted.token
            if self._is_of_call(posted.payload) and not self._is_passed_on(posted.payload):
                self._send(posted.payload)

    @property
    def holds_back(self) -> bool:
        """Whether frames wait for a device that doesn't listen yet."""
        return bool(self._held and self._late)

    @property
    def _subscribe_key(self) -> str:
        return self._caller.application.signal.subscribe_key

    def _is_passed_on(self, payload: object) -> bool:
        if not self._is_taken_on:
            return False
        channels = tuple(callee.identity.signal_channel for callee in self._callees)
        return any(payload == posted.payload for posted in self._broker.since(self._subscribe_key, channels, self._began_at))

    def _is_of_call(self, payload: object) -> bool:
        try:
            return parse_fragment(payload).session_id == self._call_id
        except RemoteProtocolError:
            return False

    def _send(self, frame: object) -> None:
        for callee in self._callees:
            post_broadcast(self._broker, callee, frame, self._caller.instance_id)
            self._post_signal(callee, frame)
        if len(self._held) < MAX_HELD_FRAMES:
            self._held.append(frame)
            self._came.set()

    def _post_signal(self, callee: Device, frame: object) -> None:
        post(self._broker, self._subscribe_key, callee.identity.signal_channel, frame, self._caller.instance_id)

    async def _serve_late(self, callee: Device) -> None:
        """Twice, some time after the device began to listen: the first time it may still be busy with the INVITE."""
        await self._came.wait()
        for _ in range(round(SETUP_SECONDS / LISTENS_SECONDS)):
            if self._broker.listeners(self._subscribe_key, callee.identity.signal_channel):
                break
            await asyncio.sleep(LISTENS_SECONDS)
        for _ in range(2):
            await asyncio.sleep(LATE_SECONDS)
            for frame in self._held:
                self._post_signal(callee, frame)
