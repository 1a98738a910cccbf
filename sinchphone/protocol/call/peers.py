"""The devices at the other end of a call, and the messages that go to them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.call.endings import failure_parts
from sinchphone.protocol.call.vocabulary import AddCandidate, ApplyAnswer, Effect, Renegotiate, Send
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Client, Message, Method, encode_client
from sinchphone.protocol.sdp.jsep import Candidate, Description, decode_sdp_body, encode_candidate, encode_description

MAX_PEERS: Final = 16
MAX_CHANNEL_CHARACTERS: Final = 255
MAX_HELD_CANDIDATES: Final = 64  # for one peer, before its answer
MAX_LATER_OFFERS: Final = 256  # of one peer: each costs new sockets; a day on a train changes networks less often


@dataclass(slots=True)
class Peer:
    """One device at the other end."""

    client: Client
    progressing: bool = False  # it has ACKed
    joined: bool = False
    answered: bool = False  # we have its SDP answer, or it has ours
    connected: bool = False
    failed: str | None = None  # why its media can't be reached
    client_events: bool = False  # it understands client events
    held: list[Candidate | None] = field(default_factory=list)  # candidates that came before its answer
    offered_again: bool = False  # a later offer of ours waits for its answer
    later_offers: int = 0  # of its own

    @property
    def name(self) -> str:
        """Its instance id."""
        return self.client.instance_id

    def learn_answer(self, message: Message) -> list[Effect]:
        """An answer may come with ACK, JOIN or PEER EVENT; the first one counts. Raises RemoteProtocolError."""
        if self.answered or message.body_type != BodyType.SDP or message.body in ("", "null"):
            return []
        body = decode_sdp_body(message.body)
        if not isinstance(body, Description) or body.type != "answer":
            return []
        self.answered = True
        held, self.held = self.held, []
        return [ApplyAnswer(self.name, body), *(AddCandidate(self.name, candidate) for candidate in held)]

    def learn(self, message: Message, body: Description | Candidate, *, later: bool) -> list[Effect]:
        """What a PEER EVENT holds; ``later``: sound flows, so a description is one after the first. Raises RemoteProtocolError."""
        if isinstance(body, Candidate):
            return self.learn_candidate(body)
        return self.learn_again(body) if later and self.answered else self.learn_answer(message)

    def learn_again(self, body: Description) -> list[Effect]:
        """A later offer, or the answer to ours. (MXP v10: a PEER EVENT carries "a candidate or re-offer/answer")"""
        if body.type == "offer":
            self.later_offers += 1
            return [Renegotiate(self.name, body)] if self.later_offers <= MAX_LATER_OFFERS else []
        asked, self.offered_again = self.offered_again, False
        return [Renegotiate(self.name, body)] if asked else []

    def learn_candidate(self, candidate: Candidate) -> list[Effect]:
        """A candidate is of use once there is an answer; until then it is kept."""
        usable = candidate if candidate.candidate else None
        if self.answered:
            return [AddCandidate(self.name, usable)]
        if len(self.held) < MAX_HELD_CANDIDATES:
            self.held.append(usable)
        return []


class Peers:
    """The devices that take part in one call, by instance id."""

    def __init__(self, me: Client, *, only: str | None = None) -> None:
        """``me`` is put on every message; ``only``: the one instance id that may take part (an incoming call's caller)."""
        self.me = me
        self._only = only
        self._peers: dict[str, Peer] = {}
        self._gone: set[str] = set()

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers.values())

    def get(self, name: str) -> Peer | None:
        """The device of that instance id, where it takes part."""
        return self._peers.get(name)

    def meet(self, client: Client) -> Peer:
        """The device that sent a message. Raises RemoteProtocolError for one that has no part in the call, or none any more."""
        peer = self._peers.get(client.instance_id)
        if peer is not None:
            return peer
        stranger = self._only is not None and client.instance_id != self._only
        if stranger or client.instance_id in self._gone or len(self._peers) >= MAX_PEERS:
            raise RemoteProtocolError("a device that has no part in this call")
        peer = self._peers[client.instance_id] = Peer(client)
        return peer

    def part(self, name: str) -> Peer | None:
        """That device is out for good; what was known of it."""
        if len(self._gone) < MAX_PEERS:
            self._gone.add(name)
        return self._peers.pop(name, None)

    def has_left(self, name: str) -> bool:
        """Whether that device is out."""
        return name in self._gone

    @property
    def gone(self) -> int:
        """How many devices are out."""
        return len(self._gone)

    @property
    def ring(self) -> bool:
        """Whether a device has taken notice and not refused."""
        return any(peer.progressing for peer in self)

    @property
    def channels(self) -> tuple[str, ...]:
        """Where all of them listen, each once."""
        return tuple(dict.fromkeys(peer.client.channel for peer in self))

    def message(
        self,
        method: Method,
        channels: tuple[str, ...],
        body_type: str = BodyType.NONE,
        body: str = "",
        *,
        failure: CallFailure | None = None,
        headers: dict[str, str] | None = None,
    ) -> Send:
        """A message of ours on those channels; a failure takes the place of the body, or that of a header."""
        more: dict[str, str] = {}
        if failure is not None:
            body_type, body, more = failure_parts(method, failure)
        return Send(Message(method, self.me, body_type, body, {**more, **(headers or {})}), channels)

    def tell(
        self,
        client: Client,
        method: Method,
        body_type: str = BodyType.NONE,
        body: str = "",
        *,
        failure: CallFailure | None = None,
        headers: dict[str, str] | None = None,
    ) -> Send:
        """A message of ours for that one device."""
        addressed = {"to": client.instance_id, **(headers or {})}
        return self.message(method, (client.channel,), body_type, body, failure=failure, headers=addressed)

    def joined(self, winner: Client, channels: tuple[str, ...]) -> Send:
        """Who has the call, for those on these channels."""
        return self.message(Method.JOINED, tuple(dict.fromkeys(channels)), BodyType.CLIENT, encode_client(winner))

    def trickle(self, name: str, candidate: Candidate | None) -> list[Effect]:
        """A candidate of ours for that device. MXP has no end of candidates."""
        peer = self._peers.get(name)
        if peer is None or candidate is None:
            return []
        return [self.tell(peer.client, Method.PEER_EVENT, BodyType.SDP, encode_candidate(candidate))]

    def describe_again(self, name: str, description: Description) -> list[Effect]:
        """A later offer of ours for that device, or the answer to one of its own."""
        peer = self._peers.get(name)
        if peer is None:
            return []
        peer.offered_again = description.type == "offer"
        return [self.tell(peer.client, Method.PEER_EVENT, BodyType.SDP, encode_description(description))]

    def leave(self, winner: str | None, placed_at: str, failure: CallFailure | None, headers: dict[str, str] | None) -> Send:
        """LEAVE, to the device that the call is with, or to all and the channel that the call was placed at."""
        peer = self._peers.get(winner or "")
        if peer is not None:
            return self.tell(peer.client, Method.LEAVE, failure=failure, headers=headers)
        channels = tuple(dict.fromkeys([*self.channels, placed_at]))
        return self.message(Method.LEAVE, channels, failure=failure, headers=headers)


def is_channel(name: str) -> bool:
    """Whether a peer can be reached there: what it calls its channel is one name, and not several (PubNub REST)."""
    return 0 < len(name) <= MAX_CHANNEL_CHARACTERS and "," not in name and name.isprintable()
