"""Whether a call between users is still open, read off what its ends say to each other: the exchange has the session key.

::

    caller's channel, call's channel, devices' channels -> frames of this call -> reassembly -> Message -> CallEnds.take
    caller stops listening while it rings               -> CANCEL in its name, on the call's channel
    an end breaks off while they talk                   -> LEAVE in its name, to the other one

A call is open until the caller's CANCEL, either end's LEAVE, the last device's DENY or ERROR, the end of the ring time or the longest
duration of a call, whichever comes first. Clients report an end only for calls that had progressed.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Final, assert_never

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.calls.delivery import Caller
from sinchphone.exchange.calls.line import post
from sinchphone.exchange.pubsub.broker import Broker, Poll
from sinchphone.exchange.record.counts import CallCounts
from sinchphone.protocol.call.endings import VANISHED, YES
from sinchphone.protocol.call.states import Cause
from sinchphone.protocol.mxp.fragments import Reassembler, parse_fragment
from sinchphone.protocol.mxp.message import CallFailure, Client, Message, Method, decode_client, decrypt, encode_failure, encrypt, split
from sinchphone.signaling.dialect import Placement

RING_SECONDS: Final = 65.0  # callers give up after 60 s at most (CallSetupTimeout of the SDK), and their word is on its way
MAX_OPEN_CALL_SECONDS: Final = 12 * 3600.0  # nobody holds a place among the open calls for longer
BROKEN_OFF_SECONDS: Final = 20.0  # an end that closed its connection and isn't back: killed. Clients try again every 15 s at least
GONE_SECONDS: Final = 10.0  # a caller that listened and doesn't for so long while it rings: its page was closed, its program killed
LOOK_SECONDS: Final = 1.0  # how often we look whether it listens
_DEPARTURES: Final = {Method.LEAVE: Cause.HUNG_UP, Method.DENY: Cause.DENIED, Method.ERROR: Cause.FAILURE}
_CALLER_VANISHED: Final = CallFailure(None, "the caller vanished", "exchange")


class CallEnds:
    """The two ends of one call. Pure."""

    def __init__(self, caller: str, devices: Iterable[str]) -> None:
        """Instance ids, of the caller and of the called user's devices."""
        self.cause: Cause | None = None  # why it's over
        self.rings = False  # a device has taken notice
        self.is_answered = False
        self._caller = _device(caller)
        self._devices = {_device(name) for name in devices}
        self.winner: Client | None = None  # the device that has the call

    @property
    def is_over(self) -> bool:
        """Whether neither end has the call any more."""
        return self.cause is not None

    def end(self, cause: Cause) -> None:
        """It's over; the first cause counts."""
        self.cause = self.cause or cause

    def restore(self, winner: Client) -> None:
        """That device has the call, by what is known from before."""
        self.winner, self.is_answered = winner, True

    def take(self, message: Message) -> None:
        """What one end says to the other. Never raises because of it."""
        sender = _device(message.sender.instance_id)
        if sender == self._caller:
            self._take_callers(message)
        elif sender in self._devices and message.method in _DEPARTURES:
            self._lose(sender, _DEPARTURES[message.method])
        elif sender in self._devices and message.method is Method.ACK:
            self.rings = True

    def _take_callers(self, message: Message) -> None:
        match message.method:
            case Method.CANCEL | Method.LEAVE | Method.ERROR:
                self.end(Cause.FAILURE if message.method is Method.ERROR else Cause.HUNG_UP if self.is_answered else Cause.CANCELED)
            case Method.DENY:  # sends one device away
                self._lose(_device(message.addressee or ""), Cause.CANCELED)
            case Method.JOINED if not self.is_answered:
                self.winner = _winner(message)
                self.is_answered = self.winner is not None and _device(self.winner.instance_id) in self._devices
            case Method.JOINED | Method.INVITE | Method.ACK | Method.JOIN | Method.UPDATE | Method.PEER_EVENT | Method.UNDEFINED:
                pass
            case _:
                assert_never(message.method)

    def _lose(self, device: str, cause: Cause) -> None:
        self._devices.discard(device)
        if not self._devices or (self.is_answered and self.winner is not None and device == _device(self.winner.instance_id)):
            self.end(cause)


class CallWatch:
    """Follows one call from its placement on. ``devices``: the instance ids and signal channels of those that were invited."""

    def __init__(
        self,
        broker: Broker,
        caller: Caller,
        placement: Placement,
        devices: Iterable[tuple[str, str]],
        token: int,
        counts: CallCounts | None = None,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        """``counts`` learns when somebody rings, and answers; ``answered`` is told when a device has the call."""
        known = tuple(devices)
        self._counts = counts or CallCounts()
        self.ends = CallEnds(caller.client.instance_id, (name for name, _ in known))
        self._broker = broker
        self._caller = caller
        self._placement = placement
        self._token = token
        self._bell = asyncio.Event()
        channels = (caller.client.channel, placement.signal_channel, *(channel for _, channel in known))
        self._poll = Poll(caller.application.signal.subscribe_key, tuple(dict.fromkeys(channels)), "exchange", self._bell)
        self._reassembler = Reassembler()
        self._was_listening = False
        self._answered = answered

    async def run(self) -> None:
        """Returns when the call is over."""
        started_at = asyncio.get_running_loop().time()
        self._broker.watch(self._poll)
        try:
            while not self.ends.is_over:
                self._bell.clear()
                self._read_all()
                self._look(asyncio.get_running_loop().time() - started_at)
                if self.ends.is_over:
                    return
                await self._rung(LOOK_SECONDS)
        finally:
            self._broker.unwatch(self._poll)

    def _look(self, seconds: float) -> None:
        """End a call that its ends say nothing of any more; it has gone on for so long."""
        ends = self.ends
        if ends.is_over:
            return
        if seconds >= (MAX_OPEN_CALL_SECONDS if ends.is_answered else RING_SECONDS):
            ends.end(Cause.NO_ANSWER if ends.rings and not ends.is_answered else Cause.TIMEOUT)
        elif not ends.is_answered and self._caller_is_gone(time.time()):
            self._cancel()
            ends.end(Cause.INACTIVE)
        elif ends.winner is not None and ends.is_answered and self._part(self._caller.client, ends.winner):
            ends.end(Cause.INACTIVE)

    def has_ended(self) -> bool:
        """Whether the call is over by what was said until now."""
        self._read_all()
        return self.ends.is_over

    def end(self, cause: Cause) -> None:
        """The call was closed: ``run`` returns. Where its ends haven't said why, that's the cause."""
        self.ends.end(cause)
        self._bell.set()

    def hang_up(self, failure: CallFailure = VANISHED) -> None:
        """Have both ends learn that the call is over, whose ``end`` follows."""
        self._read_all()
        winner = self.ends.winner
        if not self.ends.is_answered or winner is None:
            self._cancel()
            exchange = Client("", "exchange", self._placement.signal_channel)
            cancel = Message(Method.CANCEL, exchange, headers={"to": self._caller.client.instance_id})
            post_message(self._broker, self._poll.subscribe_key, self._caller.client.channel, cancel, self._placement)
            return
        for gone, left in ((self._caller.client, winner), (winner, self._caller.client)):
            post_message(self._broker, self._poll.subscribe_key, left.channel, departure_of(gone, left, failure), self._placement)

    def _read_all(self) -> None:
        while posted := self._broker.since(self._poll.subscribe_key, self._poll.channels, self._token):
            for one in posted:
                self._token = one.token
                self._read(one.payload)

    def _read(self, payload: object) -> None:
        try:
            fragment = parse_fragment(payload)
            if fragment.session_id != self._placement.call_id or fragment.transport_id is not None:
                return
            text = self._reassembler.push(fragment, asyncio.get_running_loop().time())
            if text is not None:
                was_answered = self.ends.is_answered
                self.ends.take(decrypt(text, self._placement.session_key))
                self._count(time.time())
                if self.ends.is_answered and not was_answered:
                    self._answered()
        except RemoteProtocolError:
            return  # nothing that an end of this call would understand

    def _count(self, now: float) -> None:
        if self.ends.is_answered:
            self._counts.answered(self._placement.call_id, now)
        elif self.ends.rings:
            self._counts.rang(self._placement.call_id, now)

    def _caller_is_gone(self, now: float) -> bool:
        away = self._broker.away_for(self._poll.subscribe_key, self._caller.client.channel, now)
        self._was_listening = self._was_listening or away < LOOK_SECONDS
        return self._was_listening and away >= GONE_SECONDS

    def _cancel(self) -> None:
        """What the caller can't say any more. From the call's channel it gets to every device, as a caller's own would."""
        cancel = Message(Method.CANCEL, self._caller.client, headers={"error_json": encode_failure(_CALLER_VANISHED)})
        post_message(self._broker, self._poll.subscribe_key, self._placement.signal_channel, cancel, self._placement)

    def _part(self, caller: Client, called: Client) -> bool:
        """Whether one of the two was killed; the other one learns it."""
        for gone, left in ((caller, called), (called, caller)):
            if has_broken_off(self._broker, self._poll.subscribe_key, gone):
                leave = departure_of(gone, left)
                post_message(self._broker, self._poll.subscribe_key, left.channel, leave, self._placement)
                return True
        return False

    async def _rung(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            pass


def has_broken_off(broker: Broker, subscribe_key: str, device: Client) -> bool:
    """Whether a device's program is gone, by all that is known here."""
    return broker.broken_off_for(subscribe_key, device.channel, time.time()) >= BROKEN_OFF_SECONDS


def departure_of(gone: Client, left: Client, failure: CallFailure = VANISHED) -> Message:
    """What an end that is gone can't say any more: that it vanished."""
    return Message(Method.LEAVE, gone, headers={"to": left.instance_id, "failureterm": YES, "error_json": encode_failure(failure)})


def post_message(broker: Broker, subscribe_key: str, channel: str, message: Message, placement: Placement) -> None:
    """Post a message of a call, as an end of it would."""
    for frame in split(encrypt(message, placement.session_key, os.urandom(16)), placement.call_id, str(secrets.randbelow(2_000_000_000))):
        post(broker, subscribe_key, channel, frame, message.sender.instance_id)


def _device(address: str) -> str:
    """The instance that an address names: legacy ones have a sub-instance behind it."""
    return address.partition(":")[0]


def _winner(message: Message) -> Client | None:
    try:
        return decode_client(message.body)
    except RemoteProtocolError:
        return None
