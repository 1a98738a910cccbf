"""The exchange's own end of a call: an ``engine.attended_call.AttendedCall``, whose channel is inside the exchange.

::

    Line.frames -> MxpChannel -> Call -> MxpChannel -> Line.publish
                                  |
                           Ticker(Party): what the plan says, or a seat in a conference room
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sinchphone.engine.calls.attended_call import AttendedCall
from sinchphone.engine.calls.machine_driver import GOODBYE_S
from sinchphone.errors import EXCHANGE_CLOSING, RemoteProtocolError
from sinchphone.exchange.calls.line import CallLine
from sinchphone.exchange.conference.rooms import REMOVED, Participant, Rooms
from sinchphone.exchange.conference.roster import tell_roster
from sinchphone.exchange.destinations.behaviour import behave, prepare
from sinchphone.exchange.destinations.dialplan import Plan
from sinchphone.exchange.refusals import TOO_LONG_REASON
from sinchphone.media.codecs.codec import CODECS
from sinchphone.media.port import MediaPorts, PortOptions
from sinchphone.media.sound import Sound
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.room_events import RoomRoster
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Message, Method, parse_fragment
from sinchphone.protocol.sdp.jsep import encode_description
from sinchphone.protocol.voice_limits import MAX_CALL_SECONDS
from sinchphone.signaling.channel import MxpChannel

CLOSING: Final = CallFailure(503, EXCHANGE_CLOSING, "exchange")
TOO_LONG: Final = CallFailure(408, TOO_LONG_REASON, "exchange")


async def attend(line: CallLine, plan: Plan, media: MediaThread, port: PortOptions) -> None:
    """Let an attendant have the call, until it is over. ``media`` runs; ``port``: how the caller is reached, in whatever codec. Cancelling
    it hangs up, and says why."""
    act = await asyncio.to_thread(prepare, plan) if plan.recordings or plan.number else prepare(plan)
    call, channel = _call(line, Ticker(act.party, media), media, port)
    await _carry(line, call, channel, behave(call, act))


async def take_seat(line: CallLine, rooms: Rooms, media: MediaThread, port: PortOptions) -> None:
    """Give the caller a place in the conference room that was asked for, until the call is over. As ``attend``. Raises RefusedError where
    there is no place."""
    request, who = line.request, line.caller.user_id

    async def kick() -> None:
        await call.refuse(REMOVED)

    async def takes_digit(digit: str) -> None:
        await call.dtmf(digit)

    seat = rooms.enter(
        line.application.key,
        request.identity,
        Participant(line.known_as or request.call_id, who, request.caller_id or who),
        kick,
        takes_digit,
    )
    try:
        call, channel = _call(line, seat.sound, media, port, seat.ports)
        call.report_muting(seat.mute_self)
        await _carry(line, call, channel, _welcome(call, partial(rooms.roster, line.application.key, request.identity, seat)))
    finally:
        await seat.leave()


async def _welcome(call: AttendedCall, roster: Callable[[], RoomRoster]) -> None:
    await call.ring()
    await call.answer()
    if await call.established():
        await tell_roster(roster, call.tell_client_event)


def _call(
    line: CallLine, sound: Sound, media: MediaThread, port: PortOptions, ports: MediaPorts | None = None
) -> tuple[AttendedCall, MxpChannel]:
    request = line.request
    channel = MxpChannel(request.call_id, line.publish, now=asyncio.get_running_loop().time, randbytes=os.urandom)
    channel.configure(line.session_key)
    invite = Message(Method.INVITE, line.caller, BodyType.MEDIA, "", {"sdp": encode_description(request.offer)})
    call = AttendedCall(
        CallMachine(line.local, invite=invite),
        call_id=request.call_id,
        peer=line.caller.user_id,
        domain=request.domain,
        channel=channel,
        ports=ports or media.ports,
        port_options=replace(port, codecs=tuple(CODECS)),
        sound=sound,
    )
    return call, channel


async def _carry(line: CallLine, call: AttendedCall, channel: MxpChannel, attendance: Coroutine[Any, Any, None]) -> None:
    """Carry the call to its end; ``attendance`` decides what becomes of it."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(call.run(), name=f"attended call {call.id}")
        beside = [
            group.create_task(work, name=f"attend {call.id}")
            for work in (_feed(line, channel), attendance, _limit(call), _note(line, call))
        ]
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            await call.refuse(CLOSING)
            await asyncio.wait([running], timeout=GOODBYE_S)
            raise
        finally:
            line.record.call_counts.over(call.id, call.details.cause or Cause.FAILURE)
            for task in beside:
                task.cancel()


async def _feed(line: CallLine, channel: MxpChannel) -> None:
    async for payload in line.frames():
        with suppress(RemoteProtocolError):
            channel.feed(parse_fragment(payload))


async def _note(line: CallLine, call: AttendedCall) -> None:
    """For the record: how far it got, that sound flows, and how."""
    async for state in call.states():
        if state is State.RINGING:
            line.record.call_counts.rang(call.id, time.time())
        elif state is State.ANSWERED:
            line.record.call_counts.answered(call.id, time.time())
        elif state is State.ESTABLISHED:
            how = ", ".join(filter(None, (call.details.codec, call.details.pair)))
            line.record.note(call.id, "media", "exchange", "exchange", f"sound with the caller: {how}")


async def _limit(call: AttendedCall) -> None:
    if await call.established():
        await asyncio.sleep(MAX_CALL_SECONDS)
        await call.refuse(TOO_LONG)
