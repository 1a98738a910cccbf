"""The exchange's own end of a call: an incoming ``engine.Call`` like any other, whose channel is inside the exchange.

::

    Line.frames -> MxpChannel -> Call -> MxpChannel -> Line.publish
                                  |
                          Ticker(Party): what the plan says
"""

import asyncio
import os
from collections.abc import Callable

from sinchphone.engine.call import Call
from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.calls.line import Answerer, Line
from sinchphone.exchange.destinations.dialplan import TONE_HZ, Plan, Verdict, Voice, plan_for
from sinchphone.exchange.directory.devices import Application
from sinchphone.media.port import PortOptions
from sinchphone.media.sound import Party
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call import CallMachine
from sinchphone.protocol.call_vocabulary import State
from sinchphone.protocol.fragments import parse_fragment
from sinchphone.protocol.jsep import encode_description
from sinchphone.protocol.mxp import BodyType, Message, Method
from sinchphone.signaling.channel import MxpChannel
from sinchphone.signaling.dialect import CallRequest

_AFTER_LAST_WORD_S = 0.3


class Attendants:
    """Answers what the dial plan names (implements ``line.Destinations``)."""

    def __init__(self, media: MediaThread | None = None) -> None:
        """``media`` carries the sound; a thread of its own is made where none is given. Started with the first call."""
        self._media = media or MediaThread()

    def find(self, application: Application, request: CallRequest) -> Answerer | None:
        """Who answers, or ``None``. Raises RefusedError."""
        plan = plan_for(request.domain, request.identity)
        if plan is None:
            return None
        chosen = plan
        return lambda line: _attend(line, chosen, self._media.start())


async def _attend(line: Line, plan: Plan, media: MediaThread) -> None:
    from sinchphone.media.clock import Ticker

    loop = asyncio.get_running_loop()
    channel = MxpChannel(line.request.call_id, line.publish, now=loop.time, randbytes=os.urandom)
    channel.configure(line.session_key)
    party, words_s = await asyncio.to_thread(_party, plan)
    call = Call(
        CallMachine(line.local, invite=_invite(line)),
        call_id=line.request.call_id,
        peer=line.caller.user_id,
        domain=line.request.domain,
        channel=channel,
        ports=media.ports,
        port_options=PortOptions(loopback=True),
        sound=Ticker(party, media),
    )
    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(_feed(line, channel), name="feed the exchange's end")
        behaving = group.create_task(_behave(call, plan, words_s), name="the exchange's end")
        await call.run()
        feeding.cancel()
        behaving.cancel()


def _invite(line: Line) -> Message:
    headers = {"sdp": encode_description(line.request.offer)}
    return Message(Method.INVITE, line.caller, BodyType.MEDIA, "", headers)


async def _feed(line: Line, channel: MxpChannel) -> None:
    async for payload in line.frames():
        try:
            channel.feed(parse_fragment(payload))
        except RemoteProtocolError:
            continue


async def _behave(call: Call, plan: Plan, words_s: float) -> None:
    async for state in call.states():
        if state is State.RINGING:
            await asyncio.sleep(plan.ring_s)
            await _decide(call, plan.verdict)
        elif state is State.ESTABLISHED:
            break
    talk_s = words_s + _AFTER_LAST_WORD_S if plan.ends_after_recordings else plan.talk_s
    if talk_s is not None:
        await asyncio.sleep(talk_s)
        await call.hang_up()


async def _decide(call: Call, verdict: Verdict) -> None:
    match verdict:
        case Verdict.ANSWER:
            await call.answer()
        case Verdict.BUSY:
            await call.decline(busy=True)
        case Verdict.DECLINE:
            await call.decline()
        case Verdict.RING:
            pass


def _party(plan: Plan) -> tuple[Party, float]:
    """Who speaks, and how long the recordings last [s]. Reads files."""
    import numpy as np

    from sinchphone.audio.frame import RATE
    from sinchphone.exchange.destinations.parties import Echo, Recording, Sequence, Silence, Tone
    from sinchphone.exchange.destinations.prompts import load, spell_number

    voices: dict[Voice, Callable[[], Party]] = {Voice.ECHO: Echo, Voice.TONE: lambda: Tone(TONE_HZ), Voice.SILENCE: Silence}
    words = [load(name) for name in plan.recordings]
    if plan.number is not None:
        words.append(spell_number(plan.number))
    if not words:
        return voices[plan.voice](), 0.0
    said = np.concatenate(words)
    return Sequence(Recording(said), voices[plan.voice]()), len(said) / RATE
