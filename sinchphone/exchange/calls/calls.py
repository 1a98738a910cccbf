"""Places the calls of an exchange: who is called, with which session key, and who is told.

::

    to a user      -> an INVITE to each device (``delivery``); from then on the ends talk to each other
    to others      -> ``Destinations`` finds an ``Answerer``, which talks over a ``Line``

Callers are devices (``place``) and the gateway, for those who are none (``invite``).
"""

import asyncio
import secrets
import time
import uuid
from collections.abc import Sequence

from sinchphone.errors import LocalProtocolError, SinchphoneError
from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.calls.call_table import CallTable
from sinchphone.exchange.calls.delivery import Caller, SignalForwarder, invite_frames, post_broadcast
from sinchphone.exchange.calls.line import Answerer, CallLine, Destinations, Elsewhere, talk
from sinchphone.exchange.calls.open_call import OpenCall, see_caller
from sinchphone.exchange.calls.parties import CallParties
from sinchphone.exchange.calls.shared.elsewhere import HERE, OtherProcesses, PlacedBy
from sinchphone.exchange.calls.shared.shared_calls import SharedCall
from sinchphone.exchange.calls.wakeups import Sleeper, Wakeup
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.push.sender import PushSender
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.refusals import RefusedError, forbidden, invalid, not_found, too_many
from sinchphone.protocol.call.transfer_events import NO_CALL_TO_REPLACE, REPLACES_HEADER
from sinchphone.protocol.mxp.message import Client
from sinchphone.protocol.voice_limits import NEEDS_CALLER_ID
from sinchphone.signaling.dialect import CallRequest, Domain, Placement, RemoteInstance
from sinchphone.signaling.wire import ErrorCode

MAX_CALL_ID_CHARACTERS = 64
_SESSION_KEY_BYTES = 32  # AES-256
_DESTINATIONS = {Domain.PSTN: "phone numbers", Domain.SIP: "SIP addresses", Domain.CONFERENCE: "conference rooms"}


class Calls:
    """Places calls; ``open`` has those that aren't over. ``now`` is wall clock time [s since the epoch]."""

    def __init__(
        self,
        options: ExchangeOptions,
        directory: Directory,
        broker: Broker,
        destinations: Sequence[Destinations] = (),
        parties: CallParties | None = None,
        pushes: PushSender | None = None,
        record: EventRecord | None = None,
        intake: Intake | None = None,
        others: OtherProcesses | None = None,
    ) -> None:
        """``pushes`` wakes devices that sleep; ``record`` is told which calls there are; ``intake`` says whether new ones are taken;
        ``others``: the other processes and their calls, where this exchange has several."""
        self.intake = intake or Intake()
        self._record = record or EventRecord(is_on=False)
        self._options = options
        self._pushes = pushes
        self._parties = parties or CallParties()
        self._directory = directory
        self._broker = broker
        self._destinations = destinations  # the first that knows who answers a call has it
        self._sharing = others.shared if others is not None else None
        self._others = others
        self.open = CallTable(broker, self._parties, self._record, self._sharing, others.carried if others is not None else None)
        if others is not None:
            others.serve(self._place_here, self._join_here)

    async def place(self, caller: Device, request: CallRequest, now: float, *, sub_instance: str = "", no_media: bool = False) -> Placement:
        """Set a call going. ``sub_instance`` is part of what a legacy caller is called. Raises RefusedError where that can't be."""
        if self._sharing is None:  # else what others did is known only then
            self._check(caller, request, now)
        placing = Caller.of_device(caller, request, sub_instance)
        answerer = await self._answerer(self._destinations, caller.application, request)
        if isinstance(answerer, Elsewhere):
            return await self.place_elsewhere(placing, request, answerer.process, sub_instance=sub_instance)
        if answerer is not None:
            return await self._place_once(placing, caller, request, answerer, now)
        placement: Placement | None = None
        try:
            async with self._directory.exclusive(caller.application):
                self._check(caller, request, now)  # others may have called meanwhile
                if request.domain is not Domain.MXP:
                    raise not_found(f"there are no such {_DESTINATIONS[request.domain]} on this exchange")
                placement = self._place_to_user(placing, request, now, no_media)
        except BaseException:
            if placement is not None:  # the store doesn't say that it has it, or nobody waits for the call any more
                self.open.withdraw((caller.application.key, request.call_id))
            raise
        return placement

    def invite(self, caller: Caller, request: CallRequest, now: float, *, besides: str = "") -> Placement:
        """Have all devices of the user ``request.identity`` ring ``besides`` that instance, for a caller who is no device;
        ``request.domain`` says where the call comes from. ``open.close_call`` follows. Raises RefusedError where that can't be."""
        return self._place_to_user(caller, request, now, no_media=False, besides=besides)

    async def place_elsewhere(
        self, caller: Caller, request: CallRequest, process: str, *, sub_instance: str = "", known_as: str = ""
    ) -> Placement:
        """Have another process answer the call; ``known_as``: its id there, where it's a part of another call. Raises RefusedError where it
        doesn't."""
        assert self._others is not None, "somebody named it"
        return await self._others.place(caller, request, process, sub_instance=sub_instance, known_as=known_as)

    async def _place_here(self, caller: Device, request: CallRequest, sub_instance: str) -> Placement:
        """A device's call that another process handed on. Raises RefusedError."""
        now = time.time()
        self._check(caller, request, now)
        answerer = await self._answerer(self._destinations, caller.application, request)
        if answerer is None or isinstance(answerer, Elsewhere):
            raise RefusedError(503, ErrorCode.INTERNAL, "what was called has just gone elsewhere; try again")
        return await self._place_once(Caller.of_device(caller, request, sub_instance), caller, request, answerer, now)

    async def _place_once(self, placing: Caller, caller: Device, request: CallRequest, answerer: Answerer, now: float) -> Placement:
        """Have it answered once its id is ours for certain: nobody else will ask a backend about it then. Raises RefusedError."""
        is_ours: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def answer(line: CallLine) -> None:
            await is_ours
            await answerer(line)

        try:
            async with self._directory.exclusive(caller.application):
                self._check(caller, request, now)  # others may have called meanwhile
                placement = self._place_to_answerer(placing, request, answer, now)
        except BaseException:
            is_ours.cancel()
            raise
        is_ours.set_result(None)
        return placement

    async def _join_here(self, caller: Caller, request: CallRequest, placed: PlacedBy) -> Placement:
        """Another process's gateway calls an end of ours. Raises RefusedError."""
        assert self._others is not None, "one of them asks"
        self.intake.check()
        answerer = await self._answerer(self._others.own_ends, caller.application, request)
        if answerer is None or isinstance(answerer, Elsewhere):
            raise RefusedError(503, ErrorCode.INTERNAL, "what was called has just gone elsewhere; try again")
        return self._place_to_answerer(caller, request, answerer, time.time(), placed)

    def is_reachable(self, application: Application, user_id: str, now: float, *, besides: str = "") -> bool:
        """Whether a device of that user would ring, ``besides`` that instance."""
        return bool(self._ringing(application, user_id, now, besides))

    def _check(self, caller: Device, request: CallRequest, now: float) -> None:
        if REPLACES_HEADER not in request.headers:  # else it goes on with one that there is
            self.intake.check()
        if len(request.call_id) > MAX_CALL_ID_CHARACTERS:
            raise invalid(f"callId has at most {MAX_CALL_ID_CHARACTERS} characters")
        key = (caller.application.key, request.call_id)
        if self.open.get(key) is not None or self._parties.goes_on(*key, now):
            raise RefusedError(409, ErrorCode.INVALID_REQUEST, "there is a call with this callId already")
        if request.domain is Domain.PSTN and not request.caller_id:
            raise forbidden(NEEDS_CALLER_ID)
        self.open.close_stale(now)
        others = self.open.of(caller.application.key).values()
        own = sum(call.caller.device is not None and call.caller.device.user_id == caller.user_id for call in others)
        if own >= self._options.open_calls_per_user:
            raise too_many(f"the user has {own} open calls already")
        ringing = sum(call.rings_at(request.identity, caller.user_id) for call in others)
        if ringing >= self._options.ringing_calls_per_pair:
            raise too_many(f"{ringing} calls of this user ring at {request.identity} already")

    async def _answerer(
        self, everywhere: Sequence[Destinations], application: Application, request: CallRequest
    ) -> Answerer | Elsewhere | None:
        try:
            for destinations in everywhere:
                answerer = await destinations.find(application, request)
                if answerer is not None:
                    return answerer
        except RefusedError:
            raise
        except SinchphoneError as error:
            raise forbidden(str(error)) from error
        return None

    def _place_to_answerer(
        self, caller: Caller, request: CallRequest, answerer: Answerer, now: float, placed: PlacedBy = HERE
    ) -> Placement:
        placement, key = _placement(request, ()), (caller.application.key, request.call_id)
        local = Client(request.identity, f"exchange-{uuid.uuid4()}", placement.signal_channel)
        subscribe_key = caller.application.signal.subscribe_key
        line = CallLine(
            request,
            caller.application,
            caller.client,
            local,
            placement.session_key,
            self._broker,
            subscribe_key,
            self._broker.tokens.present(now),
            self._record,
            placed.known_as,
        )
        self._record.began(
            request.call_id,
            application=caller.application.key,
            caller=caller.client.user_id or caller.client.caller_id,
            callee=request.identity,
            keys=(placement.session_key,),
        )
        self._record.call_counts.placed(request.call_id, request.domain.value, now)
        task = self.open.spawn(talk(answerer, line), f"answer {request.call_id}")
        self.open.enter(key, OpenCall(caller, now, task))
        self._parties.begin(*key, {placement.signal_channel: [caller.instance_id]}, now)
        if self._others is not None:
            self._others.carried.keep(line, placed.process)
        task.add_done_callback(lambda _: self.open.forget(key))
        watching = self.open.spawn(see_caller(line, placement), f"caller of {request.call_id}")
        task.add_done_callback(lambda _: watching.cancel())
        return placement

    def _called(self, caller: Caller, request: CallRequest, now: float, besides: str) -> list[Device]:
        """Whom a call is for. One that takes the place of another is for the device that has that one. Raises RefusedError."""
        replaces = request.headers.get(REPLACES_HEADER)
        if replaces is None:
            return self._ringing(caller.application, request.identity, now, besides)
        replaced = self.open.get((caller.application.key, replaces))
        devices = replaced.devices_of(request.identity) if replaced is not None else []
        if not devices:
            raise not_found(NO_CALL_TO_REPLACE)
        return devices

    def _ringing(self, application: Application, user_id: str, now: float, besides: str) -> list[Device]:
        reachable = self._directory.reachable(application, user_id, now)
        return [device for device in reachable if device.takes_calls and device.instance_id != besides]

    def _place_to_user(self, caller: Caller, request: CallRequest, now: float, no_media: bool, besides: str = "") -> Placement:
        callees = self._called(caller, request, now, besides or caller.instance_id)
        if not callees:
            raise not_found(_why_nobody(caller, request.identity))
        placement = _placement(request, tuple(RemoteInstance(device.instance_id, device.shown_capabilities) for device in callees))
        token = self._broker.tokens.present(now)
        relay = SignalForwarder(self._broker, caller, callees, request.call_id, placement.signal_channel, token)
        watch = self.open.watch(caller, placement, callees, token)
        try:
            invites = [(callee, invite_frames(caller.client, callee, request, placement.session_key, no_media)) for callee in callees]
        except LocalProtocolError as error:
            raise invalid(f"the call can't be announced: {error}") from error
        self._record.began(
            request.call_id,
            application=caller.application.key,
            caller=caller.client.user_id or caller.client.caller_id,
            callee=request.identity,
            keys=(placement.session_key, *(callee.identity.mxp_key for callee in callees)),
        )
        if caller.device is not None:  # else it's a part of a call of the gateway's
            self._record.call_counts.placed(request.call_id, request.domain.value, now)
        for callee, frames in invites:
            for frame in frames:
                post_broadcast(self._broker, callee, frame, caller.instance_id)
        task = self.open.spawn(relay.run(), f"relay {request.call_id}")
        wakeup = self._wakeup(caller, request, placement, invites)
        waking = self.open.spawn(wakeup.run(), f"wake for {request.call_id}") if wakeup is not None else None
        shared = self._shared(caller, request.identity, callees, placement, now, token)
        call = OpenCall(caller, now, task, relay, watch, request.identity, tuple(callees), wakeup, waking, shared)
        to_callees = {callee.identity.signal_channel: [caller.instance_id] for callee in callees}
        to_caller = {caller.client.channel: [callee.instance_id for callee in callees]}
        own = {placement.signal_channel: [caller.instance_id]}
        self._parties.begin(caller.application.key, request.call_id, {**to_callees, **to_caller, **own}, now)
        self.open.enter((caller.application.key, request.call_id), call)
        return placement

    def _shared(
        self, caller: Caller, callee: str, callees: Sequence[Device], placement: Placement, now: float, token: int
    ) -> SharedCall | None:
        """The call as the other processes know it."""
        if self._sharing is None:
            return None
        names = tuple(device.instance_id for device in callees)
        shared = SharedCall(
            process=self._sharing.process, caller=caller, callee=callee, callees=names, placement=placement, placed_at=now, token=token
        )
        self._sharing.keep(shared)
        return shared

    def _wakeup(
        self, caller: Caller, request: CallRequest, placement: Placement, invites: Sequence[tuple[Device, list[str]]]
    ) -> Wakeup | None:
        """What wakes those that sleep, where there are such."""
        sleepers = [Sleeper(device, frames) for device, frames in invites if device.push is not None and self._directory.is_silent(device)]
        if self._pushes is None or not sleepers:
            return None
        return Wakeup(self._pushes, self._broker, self._directory, caller, request, placement, sleepers)


def _placement(request: CallRequest, instances: tuple[RemoteInstance, ...]) -> Placement:
    channel = f"call-{secrets.token_urlsafe(32)}"  # longer than a device's: what fits here can be relayed there
    return Placement(request.call_id, secrets.token_bytes(_SESSION_KEY_BYTES), channel, instances)


def _why_nobody(caller: Caller, user_id: str) -> str:
    if user_id == caller.client.user_id:
        return f"{user_id} has no other device that is listening"
    if user_id in caller.application.users:
        return f"{user_id} is not listening at the moment"
    return f"there is no user {user_id} on this exchange"
