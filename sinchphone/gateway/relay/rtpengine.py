"""Relays whose media run in rtpengine: sound never touches this process. Descriptions go there and come back rewritten.

::

    caller's offer -> ng offer  -> for the called side        RTP <-> rtpengine <-> DTLS-SRTP, SRTP, RTP; codecs both ways
    for the caller <- ng answer <- called side's answer

What rtpengine doesn't say by itself is asked for (``query``): who is heard, who went silent. Digits that it hears come to
a socket of ours, where it is told so (``--dtmf-log-dest``).
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.relay.description import (
    agreed,
    anonymous,
    check_address,
    check_answer,
    check_offer,
    codecs,
    direction,
    encodings,
    ice_fragment,
    ice_lines,
    key,
    takes_events,
    with_candidates,
    with_direction,
    with_formats_of,
    with_key_for,
    with_keys_of,
)
from sinchphone.gateway.relay.digit_log import DigitLog
from sinchphone.gateway.relay.ng import NgLink, NoAnswerError
from sinchphone.gateway.relay.ng_pool import NgPool
from sinchphone.gateway.relay.ng_query import HeardSide, packets_of
from sinchphone.gateway.relay.relay import (
    MAX_EARLY,
    NOT_ANSWERED,
    MediaTransport,
    RelayEvent,
    Side,
    SideConnected,
    SideDigitHeard,
    SideLost,
    SideSilent,
)
from sinchphone.media.outbox import Outbox
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.protocol.sdp.session_description import agreed_direction, mirrored, write_blocks
from sinchphone.schema import WeightedAddress
from sinchphone.tasks import start_task

CODECS: Final = ("opus", "PCMU", "PCMA", "G722", "telephone-event")  # what either side may use, whatever the other one can
DIGIT_MS: Final = 160
PAUSE_MS: Final = 100  # rtpengine's shortest
_QUERY_SECONDS: Final = 0.5  # between two queries until both sides are heard,
_WATCH_SECONDS: Final = 3.0  # and from then on
_MAX_UNANSWERED: Final = 3  # queries, one after the other: the sound goes on while rtpengine is busy
_MAX_INJECTED: Final = 32
_RTP: Final[dict[str, object]] = {"ICE": "remove", "rtcp_mux": ["demux"], "DTLS": "off"}
_TOWARDS: Final[dict[MediaTransport, dict[str, object]]] = {
    MediaTransport.WEBRTC: {
        "transport_protocol": "UDP/TLS/RTP/SAVPF",
        "ICE": "force",
        "rtcp_mux": ["offer", "require"],
        "SDES": ["off"],
    },
    MediaTransport.RTP: {"transport_protocol": "RTP/AVP", **_RTP},
    MediaTransport.SRTP: {"transport_protocol": "RTP/SAVP", **_RTP},
}
_REPLACE: Final = ["origin", "SDP-version"]
_FLAGS: Final[list[str]] = ["generate-mid", "no-rtcp-attribute", "trickle-ICE", "port-latching"]

_log = logging.getLogger(__name__)


class RtpengineRelays:
    """Implements relay.Relays. ``addresses``: of one or several rtpengines' ``--listen-ng``; each call has one of them, by weight.

    ``digits_at`` is the address that their ``--dtmf-log-dest`` names: without it, digits reach the other side all the
    same, but nobody here hears of them.
    """

    def __init__(
        self, addresses: Sequence[WeightedAddress], *, digits_at: tuple[str, int] | None = None, lost_after_s: float = 120.0
    ) -> None:
        """``lost_after_s``: without a packet of a side that doesn't hold; 0: a side is never lost."""
        self.engines = NgPool(addresses)
        self._digits_at = digits_at
        self._lost_after_s = lost_after_s
        self._relays: dict[str, RtpengineRelay] = {}
        self._digits: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """See that an rtpengine is there, listen for its digits. Raises MediaError."""
        await self.engines.start()
        if self._digits_at is not None and self._digits is None:
            loop = asyncio.get_running_loop()
            try:
                self._digits, _ = await loop.create_datagram_endpoint(lambda: DigitLog(self._relays), local_addr=self._digits_at)
            except OSError as error:
                host, port = self._digits_at
                raise MediaError(f"no socket for rtpengine's digits at {host}:{port}: {error.strerror or error}") from error

    def relay(self, call_id: str, caller: MediaTransport, *, signalled_from: str | None = None) -> "RtpengineRelay":
        """The media of a new call whose caller uses that transport; rtpengine learns by itself where its sound comes from."""
        name = f"{call_id}-{secrets.token_hex(4)}"  # another gateway may share this rtpengine
        relay = self._relays[name] = RtpengineRelay(self.engines, name, caller, self._lost_after_s, self._relays)
        return relay

    async def close(self) -> None:
        """Delete what is left. May be called twice."""
        await asyncio.gather(*(relay.delete() for relay in self._relays.values()))
        if self._digits is not None:
            self._digits.close()
            self._digits = None
        self.engines.close()


class RtpengineRelay:
    """Implements relay.Relay.

    Each branch of the called side has a tag of its own: the one that answers last is sent to, from the same port. That serves
    several phones; devices of one WebRTC offer can't replace each other there, so those that only ring are not told to rtpengine.
    """

    def __init__(
        self, engines: NgPool, name: str, caller: MediaTransport, lost_after_s: float, siblings: "dict[str, RtpengineRelay]"
    ) -> None:
        self.name = name
        self._engines = engines
        self._link: NgLink | None = None  # to the one that has the call
        self._transports: dict[Side, MediaTransport] = {Side.CALLER: caller}
        self._offered: tuple[Side, str] | None = None  # the last offer, not answered yet
        self._offerer = Side.CALLER  # of the last offer that was answered
        self._given = ""  # our last offer, the first for the called side or a later one,
        self._proposed: Side | None = None  # and for whom a later one is that waits for its answer
        self._described: dict[Side, str] = {}  # each side's last description, as it came
        self._tags: dict[Side, str] = {Side.CALLER: Side.CALLER}  # of the sides that answered or offered
        self._said: dict[Side, str] = {}  # what each side agreed to, as an answer
        self._told: dict[Side, str] = {}  # our description for each side that it has agreed to, with the key that it took
        self._codecs: dict[Side, str] = {}
        self._early: dict[str, list[Candidate]] = {}  # candidates of a called branch before its answer
        self._branch = ""
        self._newcomers = 0  # who have taken a side's place
        self._injects = False  # rtpengine may be told to send digits
        self._injected: deque[tuple[Side, str]] = deque(maxlen=_MAX_INJECTED)  # digits of ours that rtpengine will report as heard
        self._lost_after_s = lost_after_s
        self._siblings = siblings
        self._events: Outbox[RelayEvent] = Outbox()
        self._watching: asyncio.Task[None] | None = None
        self._deleting: asyncio.Future[None] | None = None

    async def offer(self, offer: str, towards: MediaTransport, *, signalled_from: str | None = None) -> str:
        """Take the caller's offer, give the one for the called side."""
        self._transports.setdefault(Side.CALLED, towards)
        self._given = await self._offer(Side.CALLER, offer)
        self._described[Side.CALLER] = offer
        return self._given

    async def ringing(self, answer: str, *, branch: str = "") -> None:
        """Nothing: rtpengine connects a WebRTC device when it takes the call."""

    async def answer(self, answer: str, *, branch: str = "", signalled_from: str | None = None) -> str:
        """Take the answer of the called side, give ours for the caller. One that can't be taken isn't told to rtpengine."""
        if self._given:
            check_answer(self._given, answer)
        early = [each.candidate for each in self._early.pop(branch, ())]
        self._branch, self._tags[Side.CALLED] = branch, f"{Side.CALLED}-{branch}"
        self._described[Side.CALLED] = answer
        given = await self._answer(Side.CALLED, with_candidates(answer, early, complete=False) if early else answer)
        self._told = {Side.CALLER: given, Side.CALLED: with_key_for(self._given, answer)}
        return given

    async def replace(self, side: Side, offer: str, transport: MediaTransport, *, signalled_from: str | None = None) -> str:
        """Answer the offer of somebody who takes that side's place, in the name of the other one, with what that agreed to before.

        They have a tag of their own, which rtpengine joins to the other side's: that one keeps its port and its keys.
        """
        if not (side in self._said and side.other in self._said):
            raise LocalProtocolError("only in an answered call somebody can take a side's place")
        return await self._rejoin(side, offer, transport, "sendrecv" if self.hears(side.other) else "sendonly")

    async def _rejoin(self, side: Side, offer: str, transport: MediaTransport, ours: str) -> str:
        """Answer an offer as if its author had just come; who had that side before is forgotten. Where that fails, nothing has changed."""
        other = side.other
        before = self._tags[side], self._transports[side], dict(self._said), dict(self._codecs)
        self._newcomers += 1
        self._tags[side], self._transports[side] = f"{side}-new{self._newcomers}", transport
        kept = self._said[other]
        others = with_direction(kept, agreed_direction(ours, mirrored(direction(offer))))
        try:
            if transport is MediaTransport.WEBRTC:
                await self._offer(side, offer)
                given = await self._answer(other, others, kept=kept)
                check_answer(offer, given)
            else:
                given = await self._take_as_answer(side, offer, others)
        except MediaError:
            left = self._tags[side]
            self._tags[side], self._transports[side], self._said, self._codecs = before
            with suppress(MediaError):  # what rtpengine refused at once has changed nothing there
                await self._agree_again()
                await self._forget(left)
            raise
        if side is Side.CALLED:
            self._branch = ""
        self._described[side], self._told[side] = offer, given
        await self._forget(before[0])
        return given

    async def renew(self, side: Side, offer: str, *, ours: str | None = None) -> str:
        """Answer a new offer of a side in the name of the other one, with what that agreed to before; ``ours``: the direction, seen from
        us, where the other one is a port of ours.

        That of a side over RTP, and of the called side, is told to rtpengine as an answer to the other one.
        """
        other = side.other
        if other not in self._said:
            raise LocalProtocolError("only an answered call can be renewed")
        ours = ours or ("sendrecv" if self.hears(other) else "sendonly")
        transport = self._transports[side]
        kept, way = self._said[other], agreed_direction(ours, mirrored(direction(offer)))
        if transport is not MediaTransport.WEBRTC:
            check_offer(offer, secure=transport is MediaTransport.SRTP)
            if encodings(offer) != encodings(self._described[side]):
                return await self._rejoin(side, offer, transport, ours)
            return await self._take_as_answer(side, offer, with_direction(kept, way))
        if side is Side.CALLER:
            await self._offer(side, offer)
            return await self._answer(other, with_direction(kept, way), kept=kept)
        if ice_fragment(offer) != ice_fragment(self._said.get(side, "")):
            raise MediaError("rtpengine can't restart ICE with the called side alone")
        given = agreed(await self._offer(other, with_direction(kept, way)), offer)
        if not codecs(given):
            raise MediaError("the new offer has none of the codecs of the call under their numbers")
        await self._answer(side, agreed(offer, given))
        self._said[other] = kept
        return given

    async def _take_as_answer(self, side: Side, offer: str, others: str) -> str:
        """Answer an offer over RTP, where the other side says ``others``.

        Told to rtpengine 10.5 as an offer, new numbers of formats wouldn't be used towards the side, and its new key would be used towards
        the other one, who isn't told of it. In an answer each side's numbers and keys are its own (RFC 3264 6.1, RFC 4568 7.1).
        """
        check_address(offer)
        kept = self._said[side.other]
        proposed = await self._offer(side.other, others)
        given = with_key_for(with_formats_of(proposed, offer), offer)
        await self._answer(side, with_key_for(with_formats_of(offer, given), proposed))
        self._said[side.other], self._told[side] = kept, given
        return given

    async def propose(self, side: Side, *, ours: str | None = None) -> str:
        """A new offer for a side in the name of the other one, with what that agreed to before; ``ours``: the direction, seen from us,
        where the other one is a port of ours."""
        other = side.other
        if other not in self._said:
            raise LocalProtocolError(NOT_ANSWERED)
        way = ours or ("sendrecv" if self.hears(other) else "sendonly")
        self._given = await self._offer(other, with_direction(self._said[other], way))
        self._proposed = side
        return self._given

    def hears(self, side: Side) -> bool:
        """Whether that side wants to hear, by what it said last."""
        return side not in self._said or direction(self._said[side]) in ("sendrecv", "recvonly")

    async def settle(self, side: Side, answer: str) -> None:
        """Take the answer to it; what the other one agreed to stays."""
        check_answer(self._given, answer)
        kept, self._proposed = self._said[side.other], None
        await self._answer(side, answer)
        self._said[side.other], self._described[side], self._told[side] = kept, answer, with_key_for(self._given, answer)

    async def withdraw(self) -> None:
        """Rtpengine keeps to what it was answered last, but for the key of an offer, which it uses at once."""
        side, self._proposed = self._proposed, None
        if side is None:
            return
        if key(self._said[side.other]) is not None and key(self._given) != key(self._told[side]):
            with suppress(MediaError):  # what is told is the refusal; rtpengine that is gone is noticed by itself
                await self._take_key_back(side)
        self._offered = None

    async def _take_key_back(self, side: Side) -> None:
        """Have rtpengine use towards a side the key that this was told last, though the other one has a newer one by now."""
        said, other = dict(self._said), side.other
        proposed = await self._offer(other, with_keys_of(said[other], self._told[side]))
        await self._answer(side, with_key_for(said[side], proposed))
        proposed = await self._offer(side, said[side])
        await self._answer(other, with_key_for(said[other], proposed))
        self._said = said

    async def add_candidate(self, side: Side, candidate: Candidate | None, *, branch: str = "") -> None:
        """Take a trickled candidate of a WebRTC side; those of a called branch wait for its answer. Their end isn't needed."""
        if candidate is None or not candidate.candidate.strip():
            return
        if side is Side.CALLED and (side not in self._said or branch != self._branch):
            kept = self._early.setdefault(branch, []) if len(self._early) < MAX_EARLY else self._early.get(branch, [])
            if len(kept) < MAX_EARLY:
                kept.append(candidate)
            return
        with suppress(MediaError):  # rtpengine learns the address from the peer's checks all the same
            await self._trickle(side, candidate)

    async def dtmf(self, towards: Side, digits: str) -> None:
        """Have digits sent to a side; rtpengine queues them.

        Not where it takes no telephone-events: tones in their place leave rtpengine 10.5's Opus silent for the rest of the call.
        """
        if not takes_events(self._said.get(towards, "")):
            raise MediaError("the other side takes no digits as telephone-events")
        if not self._injects:
            await self._make_injecting()
        for digit in digits:
            if digit in "wW":
                await asyncio.sleep(0.5 if digit == "w" else 1.0)
            else:
                self._injected.append((towards.other, digit))
                await self._request("play DTMF", from_tag=self._tags[towards.other], code=digit, duration=DIGIT_MS, pause=PAUSE_MS)

    def events(self) -> Outbox[RelayEvent]:
        """What happens, in order; ends when the relay is deleted. One reader."""
        return self._events

    async def delete(self) -> None:
        """End the media and free its ports. May be called twice; who comes second waits for the first."""
        if self._deleting is None:
            self._deleting = start_task(self._delete(), name="rtpengine-delete")
        await asyncio.shield(self._deleting)

    def heard_digit(self, side: Side, digit: str, duration_ms: int) -> None:
        """Rtpengine says that a side sent a digit, which it passed on itself where the other side takes telephone-events.

        It says so of digits that we had it send, too.
        """
        if (side, digit) in self._injected:
            self._injected.remove((side, digit))
            return
        other = side.other
        self._events.put(SideDigitHeard(side, digit, duration_ms, passed=other not in self._said or takes_events(self._said[other])))

    # inside

    async def _delete(self) -> None:
        self._siblings.pop(self.name, None)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        try:
            if self._link is not None:  # else no rtpengine has the call
                await self._link.request("delete", call_id=self.name, delete_delay=0)  # with whoever is in it
        except MediaError as error:
            _log.warning("a call's media stay in rtpengine until they time out there: %s", error)
        finally:
            self._events.end()

    async def _request(self, command: str, **keys: Any) -> dict[str, Any]:
        if self._deleting is not None:
            raise MediaError("the relay is deleted")
        if self._link is not None:
            return await self._link.request(command, call_id=self.name, **keys)
        self._link, found = await self._engines.place(command, call_id=self.name, **keys)
        return found

    def _flags(self) -> list[str]:
        return [*_FLAGS, "inject-DTMF"] if self._injects else _FLAGS

    async def _make_injecting(self) -> None:
        """Have rtpengine run the sound through its codecs from now on, which its digits need: packets that pass are 20 ms sooner there."""
        pending, self._injects = self._offered, True
        await self._agree_again()
        self._offered = pending

    async def _agree_again(self) -> None:
        """Tell rtpengine what both sides agreed to; who offered last is the one whose key the other one knows."""
        answerer = self._offerer.other
        answer = self._said[answerer]
        await self._offer(self._offerer, self._said[self._offerer])
        await self._answer(answerer, answer)

    async def _forget(self, tag: str) -> None:
        """Who has that tag isn't in the call any more: they hear nothing, and aren't heard."""
        await self._request("delete", from_tag=tag, delete_delay=0)

    async def _offer(self, side: Side, offer: str) -> str:
        if self._transports[side] is not MediaTransport.WEBRTC:
            check_address(offer)
        other = side.other
        from_tag, to_tag = self._tags[side], self._tags.get(other)
        flags = _TOWARDS[self._transports[other]]
        found = await self._request(
            "offer",
            from_tag=from_tag,
            to_tag=to_tag,
            sdp=anonymous(offer),
            flags=self._flags(),
            replace=_REPLACE,
            codec={"transcode": CODECS},
            **flags,
        )
        self._offered = side, offer
        return _sdp(found)

    async def _answer(self, side: Side, answer: str, *, kept: str | None = None) -> str:
        """``kept``: what the side agrees to from now on, where it isn't ``answer``."""
        if self._offered is None:
            raise LocalProtocolError("there is no offer to answer")
        if self._transports[side] is not MediaTransport.WEBRTC:
            check_address(answer)
        offerer, offer = self._offered
        flags = _TOWARDS[self._transports[offerer]]
        found = await self._request(
            "answer",
            from_tag=self._tags[offerer],
            to_tag=self._tags[side],
            sdp=anonymous(answer),
            flags=self._flags(),
            replace=_REPLACE,
            **flags,
        )
        given = _sdp(found)
        self._offerer = offerer
        self._said[side], self._said[offerer] = kept or answer, agreed(offer, given)
        self._codecs = {side: _first(answer), offerer: _first(given)}
        if self._watching is None:
            self._watching = start_task(self._watch(), name="rtpengine-watch")
        return given

    async def _trickle(self, side: Side, candidate: Candidate) -> None:
        """A fragment with one candidate (RFC 8840 9); rtpengine needs the credentials in it to find its place."""
        source = self._said.get(side) or (self._offered[1] if self._offered and self._offered[0] is side else "")
        fragment = write_blocks([[*ice_lines(source), ("a", candidate.candidate.strip().removeprefix("a="))]])
        to_tag = self._tags.get(side.other)
        await self._request("offer", from_tag=self._tags[side], to_tag=to_tag, sdp=fragment, flags=["fragment", "trickle-ICE"])

    async def _watch(self) -> None:
        """Ask again and again who was heard, until the relay is deleted or rtpengine has lost the call."""
        ears = {side: HeardSide(time.monotonic()) for side in Side}
        unanswered = 0
        while True:
            await asyncio.sleep(_WATCH_SECONDS if all(ear.connected for ear in ears.values()) else _QUERY_SECONDS)
            try:
                found = await self._request("query")
            except MediaError as error:
                unanswered += 1
                if isinstance(error, NoAnswerError) and unanswered < _MAX_UNANSWERED:
                    continue
                for side in Side:
                    self._events.put(SideLost(side, str(error)))
                return
            unanswered = 0
            for side, ear in ears.items():
                self._judge(side, ear, *packets_of(found, side))

    def _judge(self, side: Side, ear: "HeardSide", sound: int, packets: int) -> None:
        """Tell what is new about a side; a held one may be silent."""
        now = time.monotonic()
        if packets != ear.packets or direction(self._said[side]) not in ("sendrecv", "sendonly"):
            ear.packets, ear.heard_at = packets, now
        if sound and not ear.connected:
            ear.connected = True
            self._events.put(SideConnected(side, self._codecs[side]))
        silent_s = now - max(ear.heard_at, ear.told_at)
        if self._lost_after_s and ear.connected and silent_s > self._lost_after_s:
            ear.told_at = now
            self._events.put(SideSilent(side, now - ear.heard_at))


def _first(sdp: str) -> str:
    return next(iter(codecs(sdp)), "")


def _sdp(answer: dict[str, Any]) -> str:
    sdp = answer.get("sdp")
    if not isinstance(sdp, str):
        raise MediaError("rtpengine gave no session description")
    return sdp
