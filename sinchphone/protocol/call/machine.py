"""The call machine: one call, outgoing or incoming, as a table. Inputs in, effects out, time as an argument.

Phases of an outgoing call (10 s and 60 s count from its start)::

    NEW -> OFFERING -> PLACING -> CALLING -> RINGING_OUT -> CONNECTING -> TALKING -> OVER
           MakeOffer   PlaceCall  (10 s)     ACK (60 s)     JOIN (15 s)   media up
                       WITHDRAWING: hung up meanwhile; CANCEL follows the platform's answer

Several devices of the called user may ACK; each is a *peer* with a media port of its own. The first JOIN wins, JOINED names
the winner to all of them, the other ports are dropped. A JOIN that overtakes its ACK waits for it. A DENY or ERROR takes one
device out; it ends the call when no device rings any more or the first 10 s (the ACK window) are over; with ``denyall=no``
the other devices that the platform named may still ACK until then.

Phases of an incoming call::

    NEW -> PREPARING -> RINGING_IN -> JOINING -> CONNECTING -> TALKING -> OVER
           MakeAnswer   ACK (60 s)    JOIN (10 s) JOINED(me)   media up
                 RINGING_AHEAD: a bare ACK; the answer follows        FADING: the media broke off (2 s); a LEAVE may explain it

Where our answer takes its time (a gateway has it from elsewhere), the order Ring acknowledges without it. It then travels in the
JOIN, or before that in a second ACK with ``earlymedia=yes`` when we want to be heard before we pick up (the order Preview).

While sound flows either side may offer again (ICE restart, hold): a PEER EVENT with a description, which who doesn't know it ignores.

A pair of phase and input that is absent from the table is ignored when it comes from the peer, the media or the clock, and is a
LocalProtocolError when it is an order of ours. Hanging up is legal in every phase. Pub/sub doubles and reorders, so every
row must hold for messages that come twice or too late. (MXP v10 methods and timers; end causes of the Sinch SDK.)
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.endings import NO, VANISHED, YES, Goodbye, departure, refusal, withdrawal
from sinchphone.protocol.call.peers import Peer, Peers, is_channel
from sinchphone.protocol.call.states import ICE_FAILED, Cause, EndedBy, State
from sinchphone.protocol.call.vocabulary import Effect, Input, Phase
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Client, Message, Method, decode_client
from sinchphone.protocol.sdp.jsep import Description, decode_sdp_body, encode_description

PROGRESS_S: Final = 10.0  # CallProgressTimeout and ACK window of the SDK
NOTICE_S: Final = 8.0  # an answer that takes longer comes later: a caller gives up after PROGRESS_S without an ACK
SETUP_S: Final = 60.0  # CallSetupTimeout of the SDK
JOIN_S: Final = 10.0  # from our JOIN to the caller's JOINED
CONNECT_S: Final = 15.0  # from the answer to sound; ours (the SDK leaves it to the browser)
FADE_S: Final = 2.0  # media that is closed can overtake the LEAVE, which takes the way through pub/sub
WITHDRAW_S: Final = 3.0  # how long a hang-up waits for the platform's answer, to cancel what it started
CLIENT_EVENTS: Final = "1"  # version of client events that we understand, in header "cev"
ENTERED_ESTABLISHED: Final = '{"name":"EnteredEstablished"}'


class CallMachine:
    """One call. ``handle`` takes one input and returns effects in the order in which they are to be performed."""

    def __init__(self, me: Client, *, invite: Message | None = None) -> None:
        """``invite``: the INVITE of an incoming call; ``None`` makes an outgoing one. ``me`` is put on every message."""
        self.phase = Phase.NEW
        self.outbound = invite is None
        self.ignored = 0  # inputs that had no row: late, doubled or hostile
        self.winner: str | None = None  # instance id of the device that the call is with
        self._invite = invite
        self._peers = Peers(me, only=invite.sender.instance_id if invite else None)
        self._wish: v.Answer | v.Preview | None = None  # what was ordered while our answer was being made
        self._untold: Description | None = None  # our answer, until the caller has it
        self._placed = v.Placed("")
        self._goodbye: Goodbye | None = None  # of the last device that left
        self._withdrawn = v.HangUp()  # while the platform was placing the call
        self._started_at = self._marked_at = 0.0

    @property
    def state(self) -> State:
        """The state as people see it."""
        return v.STATES[self.phase]

    @property
    def deadline(self) -> float | None:
        """When ``Elapsed`` is due; ``None`` before the start, while talking and when over."""
        match self.phase:
            case Phase.NEW | Phase.TALKING | Phase.OVER:
                return None
            case Phase.WITHDRAWING:
                return self._marked_at + WITHDRAW_S
            case Phase.JOINING:
                return min(self._marked_at + JOIN_S, self._started_at + SETUP_S)
            case Phase.CONNECTING:
                return self._marked_at + CONNECT_S
            case Phase.FADING:
                return self._marked_at + FADE_S
            case Phase.OFFERING | Phase.RINGING_AHEAD | Phase.RINGING_IN:
                return self._started_at + SETUP_S
            case Phase.RINGING_OUT if self._peers.ring:
                return self._started_at + SETUP_S
            case Phase.PREPARING:
                return self._started_at + NOTICE_S
            case Phase.CALLING if self._placed.pushed:
                return self._started_at + SETUP_S
            case _:
                return self._started_at + PROGRESS_S

    def handle(self, event: Input, now: float) -> list[Effect]:
        """Take one input. ``now`` is any clock that doesn't go back [s].

        Raises LocalProtocolError for an order of ours that has no meaning in this phase; never raises because of a peer.
        """
        if isinstance(event, v.Received):
            return self._receive(event.message, now)
        if isinstance(event, v.Elapsed) and (self.deadline is None or now < self.deadline):
            return []
        row = TABLE.get((self.phase, type(event)))
        if row is not None:
            return row(self, event, now)
        if isinstance(event, v.Dial | v.Greet | v.Answer | v.Ring | v.Preview):
            raise LocalProtocolError(f"a call can't take {type(event).__name__} in this phase: {self.phase.value}")
        self.ignored += 1
        return []

    def _receive(self, message: Message, now: float) -> list[Effect]:
        me = self._peers.me.instance_id
        row = MESSAGES.get((self.phase, message.method))
        ours = message.sender.instance_id == me or not message.is_addressed_to(me)
        with suppress(RemoteProtocolError):
            if row is not None and not ours and is_channel(message.sender.channel):
                return row(self, message, now)
        self.ignored += 1
        return []

    # Outgoing: until the platform has taken the call

    def _dial(self, _: v.Dial, now: float) -> list[Effect]:
        if not self.outbound:
            raise LocalProtocolError("an incoming call can't be dialled")
        self.phase, self._started_at = Phase.OFFERING, now
        return [v.MakeOffer()]

    def _place(self, event: v.OfferReady, now: float) -> list[Effect]:
        self.phase, self._started_at = Phase.PLACING, now  # a busy machine's offer may take long: devices have their time all the same
        return [v.PlaceCall(event.offer)]

    def _take_placement(self, event: v.Placed, now: float) -> list[Effect]:
        self._placed = event
        return self._enter(Phase.CALLING)

    def _withdraw(self, event: v.HangUp, now: float) -> list[Effect]:
        self.phase, self._marked_at, self._withdrawn = Phase.WITHDRAWING, now, event
        return []

    def _cancel_late_placement(self, event: v.Placed, now: float) -> list[Effect]:
        self._placed = event
        return self._cancel_by_user(self._withdrawn, now)

    def _give_up_withdrawing(self, _: Input, now: float) -> list[Effect]:
        return self._end(Cause.CANCELED, EndedBy.US)

    # Outgoing: devices take notice, pick up, refuse

    def _on_ack(self, message: Message, now: float) -> list[Effect]:
        peer = self._peers.meet(message.sender)
        effects = peer.learn_answer(message)
        peer.progressing = True
        peer.client_events = "cev" in message.headers
        effects += self._enter(Phase.RINGING_OUT)
        if peer.answered and message.headers.get("earlymedia") == YES:
            effects.append(v.CarrySound(peer.name, early=True))
        return effects + (self._choose(peer, now) if peer.joined else [])

    def _on_join(self, message: Message, now: float) -> list[Effect]:
        peer = self._peers.meet(message.sender)
        effects = peer.learn_answer(message)
        peer.joined = True
        return effects + (self._choose(peer, now) if peer.progressing else [])

    def _choose(self, peer: Peer, now: float) -> list[Effect]:
        """The first device that picked up: tell all of them, drop the others."""
        self.winner, self._marked_at = peer.name, now
        effects: list[Effect] = [self._peers.joined(peer.client, self._peers.channels)]
        effects += [v.DropPeer(other.name) for other in self._peers if other is not peer]
        return effects + self._enter(Phase.CONNECTING) + [v.CarrySound(peer.name)] + self._connect(peer)

    def _repeat_joined(self, message: Message, now: float) -> list[Effect]:
        """A device that takes notice or picks up too late learns who won."""
        winner = self._peers.get(self.winner or "")
        if not self.outbound or winner is None or message.sender.instance_id == self.winner:
            self.ignored += 1
            return []
        return [self._peers.joined(winner.client, (message.sender.channel,))]

    def _on_refusal(self, message: Message, now: float) -> list[Effect]:
        """DENY, ERROR or an early LEAVE: that device is out, and perhaps the call."""
        name = message.sender.instance_id
        if self._peers.has_left(name):
            raise RemoteProtocolError("a device that is out already")
        peer = self._peers.part(name)
        noticed = peer is not None and peer.progressing
        self._goodbye = told = refusal(message, noticed=noticed, after_s=now - self._started_at)
        dropped: list[Effect] = [v.DropPeer(name)] if peer is not None else []
        if self._may_still_ring(told, now):
            return dropped
        return dropped + self._cancel(told, extra=message.sender.channel)

    def _may_still_ring(self, told: Goodbye, now: float) -> bool:
        in_window = now < self._started_at + PROGRESS_S
        others = in_window and self._placed.devices is not None and self._peers.gone < self._placed.devices
        return not told.final and (in_window or told.only_this) and (self._peers.ring or others)

    def _on_gateway_cancel(self, message: Message, now: float) -> list[Effect]:
        return self._part(withdrawal(message, picked_up=False))

    def _ring_out(self, _: v.Elapsed, now: float) -> list[Effect]:
        if self._goodbye is not None and not self._peers.ring:
            return self._cancel(self._goodbye)
        heard = self._peers.ring or self._placed.pushed
        return self._cancel(Goodbye(Cause.NO_ANSWER if heard else Cause.TIMEOUT, EndedBy.TIME))

    def _cancel_by_user(self, event: v.HangUp, now: float) -> list[Effect]:
        """CANCEL; where somebody answered who is none of the devices, JOINED names one that isn't theirs (MXP v10, method 4)."""
        cause = event.elsewhere or Cause.CANCELED
        if cause is not Cause.OTHER_DEVICE_ANSWERED:
            return self._cancel(Goodbye(cause, EndedBy.US, event.failure))
        return [self._peers.joined(self._peers.me, (*self._peers.channels, self._placed.signal_channel)), *self._end(cause, EndedBy.US)]

    def _cancel(self, told: Goodbye, *, extra: str = "") -> list[Effect]:
        """End an outgoing call before its answer: CANCEL to every device that took notice, and to the call's own channel."""
        channels = dict.fromkeys([*self._peers.channels, self._placed.signal_channel, extra])
        headers = {"deny": YES} if told.cause is Cause.DENIED else {}
        reason = told.failure if told.by == EndedBy.US else None
        cancel = self._peers.message(Method.CANCEL, tuple(filter(None, channels)), failure=reason, headers=headers)
        return [cancel, *self._part(told)]

    def _greet(self, _: v.Greet, now: float) -> list[Effect]:
        if self._invite is None:
            raise LocalProtocolError("an outgoing call can't be greeted")
        self.phase, self._started_at = Phase.PREPARING, now
        try:
            offer = decode_sdp_body(self._invite.headers.get("sdp", ""))
        except RemoteProtocolError as error:
            return self._fail(v.Failed(CallFailure(None, str(error)), EndedBy.PEER), now)
        if not isinstance(offer, Description) or offer.type != "offer":
            return self._fail(v.Failed(CallFailure(None, "the call carries no offer"), EndedBy.PEER), now)
        peer = self._peers.meet(self._invite.sender)
        peer.progressing = peer.answered = True
        peer.client_events = "cev" in self._invite.headers
        return [v.MakeAnswer(peer.name, offer)]

    def _acknowledge_ahead(self, _: v.Ring | v.Elapsed, now: float) -> list[Effect]:
        return [self._ack(), *self._enter(Phase.RINGING_AHEAD)]

    def _take_answer(self, event: v.AnswerReady, now: float) -> list[Effect]:
        """It goes with the ACK, unless there was one already: then it waits for the JOIN, or for the order Preview."""
        self._untold = event.answer
        waits = self.phase is Phase.RINGING_AHEAD or isinstance(self._wish, v.Preview)
        effects = [*([] if waits else [self._ack()]), *self._enter(Phase.RINGING_IN)]
        return effects + (self.handle(self._wish, now) if self._wish is not None else [])

    def _ack(self, *, early: bool = False) -> v.Send:
        """An ACK, with our answer where it is ready and was not told."""
        headers = {"cev": CLIENT_EVENTS, **({"earlymedia": YES} if early else {})}
        return self._peers.tell(self._caller, Method.ACK, *self._tell_answer(), headers=headers)

    def _tell_answer(self) -> tuple[str, str]:
        answer, self._untold = self._untold, None
        return (BodyType.NONE, "") if answer is None else (BodyType.SDP, encode_description(answer))

    def _wait_for_answer(self, event: v.Answer | v.Preview, now: float) -> list[Effect]:
        if not isinstance(self._wish, v.Answer):
            self._wish = event
        return []

    def _preview(self, _: v.Preview, now: float) -> list[Effect]:
        return [self._ack(early=True), v.CarrySound(self._caller.instance_id, early=True)]

    def _pick_up(self, _: v.Answer, now: float) -> list[Effect]:
        self.phase, self._marked_at, self.winner = Phase.JOINING, now, self._caller.instance_id
        body = self._tell_answer()[1]
        return [self._peers.tell(self._caller, Method.JOIN, BodyType.SDP, body), v.CarrySound(self.winner)]

    def _on_joined(self, message: Message, now: float) -> list[Effect]:
        peer = self._peers.meet(message.sender)
        if decode_client(message.body).instance_id != self._peers.me.instance_id:
            return self._end(Cause.OTHER_DEVICE_ANSWERED, EndedBy.PEER)
        if self.phase is not Phase.JOINING:  # we never joined: not our doing
            raise RemoteProtocolError("JOINED without a JOIN")
        self._marked_at = now
        return self._enter(Phase.CONNECTING) + self._connect(peer)

    def _on_withdrawal(self, message: Message, now: float) -> list[Effect]:
        """The caller ends the call before it was answered, or in the moment that it was."""
        self._peers.meet(message.sender)
        return self._part(withdrawal(message, picked_up=self.winner is not None))

    def _deny(self, event: v.HangUp, now: float) -> list[Effect]:
        headers = {"denyall": NO} if event.this_device_only else {"deny": YES}
        deny = self._peers.tell(self._caller, Method.DENY, failure=event.failure, headers=headers)
        return [deny, *self._end(Cause.DENIED, EndedBy.US, event.failure)]

    def _ring_in_vain(self, _: v.Elapsed, now: float) -> list[Effect]:
        deny = self._peers.tell(self._caller, Method.DENY, headers={"denyall": NO})
        return [deny, *self._end(Cause.NO_ANSWER, EndedBy.TIME)]

    def _join_in_vain(self, _: v.Elapsed, now: float) -> list[Effect]:
        failure = CallFailure(None, "the caller did not confirm the answer")
        return [self._leave(failure), *self._end(Cause.FAILURE, EndedBy.TIME, failure)]

    def _trickle(self, event: v.LocalCandidate, now: float) -> list[Effect]:
        return self._peers.trickle(event.peer, event.candidate)

    def _on_peer_event(self, message: Message, now: float) -> list[Effect]:
        if message.body_type != BodyType.SDP:
            heard = message.body_type == BodyType.CLIENT_EVENT and message.sender.instance_id == self.winner
            return [v.ClientEventHeard(message.body)] if heard else []
        if self.winner not in (None, message.sender.instance_id):
            raise RemoteProtocolError("a device that the call is not with")
        body = decode_sdp_body(message.body)
        return self._peers.meet(message.sender).learn(message, body, later=self.phase in _SOUNDING)

    def _tell_client_event(self, event: v.TellClientEvent, now: float) -> list[Effect]:
        peer = self._peers.get(self.winner or "")
        return [self._peers.tell(peer.client, Method.PEER_EVENT, BodyType.CLIENT_EVENT, event.body)] if peer is not None else []

    def _restart(self, event: v.PathFailing, now: float) -> list[Effect]:
        return [v.Renegotiate(event.peer)] if event.peer == self.winner else []

    def _describe_again(self, event: v.DescribedAgain, now: float) -> list[Effect]:
        return self._peers.describe_again(event.peer, event.description)

    def _note_connected(self, event: v.MediaConnected, now: float) -> list[Effect]:
        peer = self._peers.get(event.peer)
        if peer is None:
            return []
        peer.connected, peer.failed = True, None
        return self._connect(peer) if self.phase is Phase.CONNECTING and peer.name == self.winner else []

    def _note_media_failed(self, event: v.MediaFailed | v.MediaLost, now: float) -> list[Effect]:
        """While it rings this only spoils that device; once it was chosen the call fails."""
        peer = self._peers.get(event.peer)
        if peer is None:
            return []
        peer.connected = False
        peer.failed = event.reason if isinstance(event, v.MediaFailed) else "the other side vanished"
        return self._connect(peer) if self.phase is Phase.CONNECTING and peer.name == self.winner else []

    def _connect(self, peer: Peer) -> list[Effect]:
        """The call is answered: established once the media is up, failed once it can't be."""
        if peer.failed is not None:
            return self._fail_media(peer.failed)
        if not peer.connected:
            return []
        effects: list[Effect] = []
        if peer.client_events:
            effects.append(self._peers.tell(peer.client, Method.PEER_EVENT, BodyType.CLIENT_EVENT, ENTERED_ESTABLISHED))
        return effects + self._enter(Phase.TALKING)

    def _connect_in_vain(self, _: v.Elapsed, now: float) -> list[Effect]:
        return self._fail_media("no connection came up in time")

    def _fail_media(self, reason: str) -> list[Effect]:
        failure = CallFailure(ICE_FAILED, f"ICE failed to connect: {reason}")
        return [self._leave(failure, {"iceFailed": YES, "failureterm": YES}), *self._end(Cause.FAILURE, EndedBy.MEDIA, failure)]

    def _fade(self, event: v.MediaLost | v.MediaFailed, now: float) -> list[Effect]:
        if event.peer == self.winner:
            self.phase, self._marked_at = Phase.FADING, now
        return []

    def _go_inactive(self, _: v.Elapsed, now: float) -> list[Effect]:
        return [self._leave(VANISHED, {"failureterm": YES}), *self._end(Cause.INACTIVE, EndedBy.MEDIA)]

    def _hang_up(self, event: v.HangUp, now: float) -> list[Effect]:
        failed = event.failure is not None and event.failure.code is not None  # else it is a word to say goodbye with
        headers = {"failureterm": YES} if failed else {}
        return [self._leave(event.failure, headers), *self._end(Cause.HUNG_UP, EndedBy.US, event.failure)]

    def _on_leave(self, message: Message, now: float) -> list[Effect]:
        if message.sender.instance_id != self.winner:
            raise RemoteProtocolError("a device that the call is not with")
        return self._part(departure(message))

    def _fail(self, event: v.Failed, now: float) -> list[Effect]:
        """Something of ours could not be done; the peers learn why."""
        goodbye: list[Effect] = []
        if not self.outbound:
            goodbye = [self._peers.tell(self._caller, Method.ERROR, failure=event.failure)]
        elif self._placed.signal_channel:
            goodbye = [self._leave(event.failure, {"failureterm": YES})]
        return [*goodbye, *self._end(Cause.FAILURE, event.by, event.failure)]

    def _forget(self, _: Input, now: float) -> list[Effect]:
        return []

    def _end_at_once(self, _: v.HangUp, now: float) -> list[Effect]:
        return self._end(Cause.CANCELED if self.outbound else Cause.DENIED, EndedBy.US)

    def _end(self, cause: Cause, by: EndedBy, failure: CallFailure | None = None) -> list[Effect]:
        self.phase = Phase.OVER
        return [v.Ended(cause, by, failure)]

    def _part(self, told: Goodbye) -> list[Effect]:
        return self._end(told.cause, told.by, told.failure)

    def _enter(self, phase: Phase) -> list[Effect]:
        """Go to that phase; told where people see a difference."""
        before, self.phase = self.state, phase
        return [] if self.state is before else [v.Entered(self.state)]

    @property
    def _caller(self) -> Client:
        assert self._invite is not None, "only an incoming call has a caller"
        return self._invite.sender

    def _leave(self, failure: CallFailure | None = None, headers: dict[str, str] | None = None) -> v.Send:
        return self._peers.leave(self.winner, self._placed.signal_channel, failure, headers)


_Row: TypeAlias = Callable[[CallMachine, Any, float], list[Effect]]
_M = CallMachine
_UNANSWERED = (Phase.CALLING, Phase.RINGING_OUT)
_UNDECIDED = (Phase.PREPARING, Phase.RINGING_AHEAD, Phase.RINGING_IN, Phase.JOINING)
_ANSWERED = (Phase.CONNECTING, Phase.TALKING, Phase.FADING)
_SOUNDING = (Phase.CONNECTING, Phase.TALKING)
_NO_OFFER: Final = v.Failed(CallFailure(None, "the offer could not be prepared in time"), EndedBy.TIME)
_WITH_PEERS = (*_UNANSWERED, *_UNDECIDED, *_ANSWERED)


def _rows(*rows: tuple[Iterable[Phase], object, _Row]) -> dict[tuple[Phase, object], _Row]:
    """A later row of the same pair replaces the earlier one."""
    return {(phase, trigger): row for phases, trigger, row in rows for phase in phases}


#: (phase, input) -> what is done
TABLE: Final = _rows(
    ((Phase.NEW,), v.Dial, _M._dial),
    ((Phase.OFFERING,), v.OfferReady, _M._place),
    ((Phase.PLACING,), v.Placed, _M._take_placement),
    ((Phase.WITHDRAWING,), v.Placed, _M._cancel_late_placement),
    ((Phase.WITHDRAWING,), v.Failed, _M._give_up_withdrawing),
    ((Phase.NEW,), v.Greet, _M._greet),
    ((Phase.PREPARING,), v.Ring, _M._acknowledge_ahead),
    ((Phase.PREPARING,), v.Elapsed, _M._acknowledge_ahead),
    ((Phase.PREPARING, Phase.RINGING_AHEAD), v.AnswerReady, _M._take_answer),
    ((Phase.PREPARING, Phase.RINGING_AHEAD), v.Answer, _M._wait_for_answer),
    ((Phase.PREPARING, Phase.RINGING_AHEAD), v.Preview, _M._wait_for_answer),
    ((Phase.RINGING_IN,), v.Preview, _M._preview),
    ((Phase.RINGING_IN,), v.Answer, _M._pick_up),
    ((Phase.JOINING, *_ANSWERED, Phase.OVER), v.Answer, _M._forget),  # answered twice, or too late
    ((Phase.RINGING_AHEAD, Phase.RINGING_IN, Phase.JOINING, *_ANSWERED, Phase.OVER), v.Ring, _M._forget),
    ((Phase.JOINING, *_ANSWERED, Phase.OVER), v.Preview, _M._forget),
    # hanging up
    ((Phase.NEW, Phase.OFFERING), v.HangUp, _M._end_at_once),
    ((Phase.PLACING,), v.HangUp, _M._withdraw),
    (_UNANSWERED, v.HangUp, _M._cancel_by_user),
    ((Phase.PREPARING, Phase.RINGING_AHEAD, Phase.RINGING_IN), v.HangUp, _M._deny),
    ((Phase.JOINING, *_ANSWERED), v.HangUp, _M._hang_up),
    ((Phase.WITHDRAWING, Phase.OVER), v.HangUp, _M._forget),
    # what could not be done
    ((Phase.OFFERING, Phase.PLACING, *_WITH_PEERS), v.Failed, _M._fail),
    # media
    (_WITH_PEERS, v.LocalCandidate, _M._trickle),
    (_WITH_PEERS, v.MediaConnected, _M._note_connected),
    (_WITH_PEERS, v.MediaFailed, _M._note_media_failed),
    (_WITH_PEERS, v.MediaLost, _M._note_media_failed),
    (_SOUNDING, v.PathFailing, _M._restart),
    (_SOUNDING, v.DescribedAgain, _M._describe_again),
    (_SOUNDING, v.TellClientEvent, _M._tell_client_event),
    (_SOUNDING, v.Redirect, lambda call, event, _: [v.Renegotiate(call.winner or "", direction=event.direction)]),
    ((Phase.TALKING,), v.MediaFailed, _M._fade),
    ((Phase.TALKING,), v.MediaLost, _M._fade),
    # time
    ((Phase.OFFERING,), v.Elapsed, lambda call, _, now: call._fail(_NO_OFFER, now)),
    ((Phase.PLACING,), v.Elapsed, lambda call, *_: call._end(Cause.TIMEOUT, EndedBy.TIME)),
    ((Phase.WITHDRAWING,), v.Elapsed, _M._give_up_withdrawing),
    (_UNANSWERED, v.Elapsed, _M._ring_out),
    ((Phase.RINGING_AHEAD, Phase.RINGING_IN), v.Elapsed, _M._ring_in_vain),
    ((Phase.JOINING,), v.Elapsed, _M._join_in_vain),
    ((Phase.CONNECTING,), v.Elapsed, _M._connect_in_vain),
    ((Phase.FADING,), v.Elapsed, _M._go_inactive),
)

#: (phase, method of the peer's message) -> what is done
MESSAGES: Final = _rows(
    (_UNANSWERED, Method.ACK, _M._on_ack),
    (_UNANSWERED, Method.JOIN, _M._on_join),
    (_ANSWERED, Method.ACK, _M._repeat_joined),
    (_ANSWERED, Method.JOIN, _M._repeat_joined),
    (_UNANSWERED, Method.DENY, _M._on_refusal),
    (_UNANSWERED, Method.ERROR, _M._on_refusal),
    (_UNANSWERED, Method.LEAVE, _M._on_refusal),
    (_UNANSWERED, Method.CANCEL, _M._on_gateway_cancel),
    (_UNDECIDED, Method.JOINED, _M._on_joined),
    (_UNDECIDED, Method.CANCEL, _M._on_withdrawal),
    (_UNDECIDED, Method.LEAVE, _M._on_withdrawal),
    (_UNDECIDED, Method.ERROR, _M._on_withdrawal),
    (_UNDECIDED, Method.DENY, _M._on_withdrawal),  # a 1.x caller has another device of the user: this one is out
    (_ANSWERED, Method.LEAVE, _M._on_leave),
    (_ANSWERED, Method.ERROR, _M._on_leave),
    (_ANSWERED, Method.DENY, _M._on_leave),  # a 1.x client that hangs up after its JOIN, before it has our JOINED
    (_ANSWERED, Method.CANCEL, _M._on_leave),  # a 1.x caller that hangs up in the second after its JOINED
    (_WITH_PEERS, Method.PEER_EVENT, _M._on_peer_event),
)
