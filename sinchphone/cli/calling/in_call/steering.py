"""Does to the calls that go on what programs want of them: commands of ``--control``."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, assert_never

from sinchphone.cli.calling.call_session import CallSession
from sinchphone.cli.calling.in_call.transferring import transfer
from sinchphone.cli.control import commands as k
from sinchphone.cli.control.control import Control, Performed, named_call
from sinchphone.cli.control.stream import ControlStream
from sinchphone.cli.endings import Order
from sinchphone.cli.terminal.flags.shared_streams import is_standard_input
from sinchphone.cli.terminal.output.events.events import CallMuted
from sinchphone.errors import AudioFileError, LocalProtocolError
from sinchphone.protocol.call.states import State
from sinchphone.protocol.phone_numbers import bare_digits, looks_like_number, read_number, refuse_well_known_emergency

if TYPE_CHECKING:
    from sinchphone.cli.calling.phone import Phone
    from sinchphone.cli.terminal.session import Session
    from sinchphone.engine.calls.call import Call


class Steering:
    """Knows the calls of one command by their ids."""

    def __init__(self, session: "Session", phone: "Phone") -> None:
        self._session = session
        self._phone = phone
        self._talks: dict[str, CallSession] = {}

    def follow(self, talk: CallSession) -> None:
        """From now on commands can meet this call, and one that waits while it goes on."""
        self._talks = {call_id: one for call_id, one in self._talks.items() if one.call.state is not State.ENDED}
        self._talks[talk.call.id] = talk

    def waits(self, call_id: str) -> bool:
        """Whether that call rings while somebody talks in another."""
        return any(talk.waiting is not None and talk.waiting.id == call_id for talk in self._talks.values())

    def obey(self, stream: ControlStream | None, group: asyncio.TaskGroup) -> list["asyncio.Task[None]"]:
        """Do what ``stream`` says until the tasks are cancelled, of which there are none without a stream."""
        if stream is None:
            return []
        return [group.create_task(Control(stream, self._session.tell, self.perform, self._meets).run(), name="control")]

    async def perform(self, command: k.Command) -> Performed:
        """Do it. Raises SinchphoneError where it can't be done."""
        match command:
            case k.SendText(to=recipients, text=text):
                sent = await self._phone.client.send_message(recipients, text)
                return Performed(message_id=sent.message.id)
            case k.QuitPhone():
                self._session.stop.give(Order.CONTROL)
                return Performed()
            case _:
                talk, call = self._find(command.call_id)
                await self._perform(command, talk, call)
                return Performed(call.id)

    def _meets(self, command: k.Command) -> str | None:
        """The id of the call that a command names, or of the only one."""
        if named_call(command) is None and not isinstance(command, k.SendText | k.QuitPhone):
            with contextlib.suppress(LocalProtocolError):
                return self._find(None)[1].id
        return named_call(command)

    async def _perform(self, command: "k.CallCommand", talk: CallSession, call: "Call") -> None:
        match command:
            case k.PickUpCall():
                await self._answer(talk, call)
            case k.DeclineCall(busy=busy):
                await self._decline(talk, call, busy=busy)
            case k.HangUpCall():
                await self._hang_up(talk, call)
            case k.PlayFile() | k.SpeakText() | k.RecordCall() | k.ChangeDevice():
                await _perform_sound(command, call)
            case k.HoldCall(on=on, music=music):
                await (call.hold(music=music) if on else call.resume())
            case k.TransferCall(to=to, to_call=to_call):
                await self._transfer(talk, call, to, to_call)
            case k.SendDigits(digits=digits):
                await call.dtmf(digits)
            case k.MuteCall(on=on):
                call.mute(on)
                self._session.tell(CallMuted(call_id=call.id, muted=on))
            case _:
                assert_never(command)

    async def _transfer(self, talk: CallSession, call: "Call", to: str | None, to_call: str | None) -> None:
        if (to is None) is (to_call is None) or call is not talk.call:
            raise LocalProtocolError("transfer needs a call that talks, and either to, or to_call")
        await transfer(talk, _dialled(to) if to is not None else self._find(to_call)[0])
        if talk.order is not Order.TRANSFERRED:
            raise LocalProtocolError("the call was hung up before they talked: the other side may still go there")

    def _find(self, call_id: str | None) -> tuple[CallSession, "Call"]:
        """The call of that id, or the only one; with the call in which it is told, or beside which it waits."""
        talks = [talk for talk in self._talks.values() if talk.call.state is not State.ENDED]
        found = [(talk, talk.call) for talk in talks] + [(talk, talk.waiting) for talk in talks if talk.waiting is not None]
        if call_id is not None:
            found = [(talk, call) for talk, call in found if call.id == call_id]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(call.id for _, call in found)
            raise LocalProtocolError(f"there are {len(found)} calls, and it isn't said which is meant", hint=f'"call_id": one of {ids}')
        if call_id is not None and any(ended.call_id == call_id for ended in self._session.calls):
            raise LocalProtocolError("that call has ended")
        raise LocalProtocolError("there is no such call" if call_id is not None else "there is no call")

    async def _answer(self, talk: CallSession, call: "Call") -> None:
        _check_rings(call, "it can't be answered")
        if call is talk.call:
            await call.answer()
        elif talk.calls is not None and talk.calls.take_waiting is not None:
            talk.calls.take_waiting()

    async def _decline(self, talk: CallSession, call: "Call", *, busy: bool) -> None:
        _check_rings(call, "it can't be declined: hangup ends it")
        if call is talk.call:
            talk.order = talk.order or Order.DECLINED
        await call.decline(busy=busy)

    async def _hang_up(self, talk: CallSession, call: "Call") -> None:
        if call is not talk.call:
            await call.decline()
        else:
            await talk.hang_up(Order.DECLINED if _rings(call) else Order.CONTROL)


def _dialled(to: str) -> str:
    """Where a transfer leads, a number as it's dialled. Raises DestinationError for one that nobody dials from here, such as 112."""
    refuse_well_known_emergency(bare_digits(to) or "")
    return read_number(to) if looks_like_number(to) else to


async def _perform_sound(command: "k.SoundCommand", call: "Call") -> None:
    match command:
        case k.PlayFile(path=path, stop=stop):
            await _play(call, path, stop=stop)
        case k.SpeakText(text=text, locale=locale):
            _check_whole(await call.say(text, locale))
        case k.RecordCall():
            await _record(call, command)
        case k.ChangeDevice(input=microphone, output=loudspeaker):
            await _change_device(call, microphone, loudspeaker)
        case _:
            assert_never(command)


async def _play(call: "Call", path: str | None, *, stop: bool) -> None:
    if (path is None) is not stop:
        raise LocalProtocolError("play needs a path, or stop")
    if path is None:
        call.stop_playing()
    elif is_standard_input(path):
        raise LocalProtocolError("standard input isn't played on command", hint="--play - plays it from the answer on")
    else:
        _check_whole(await call.play(path))


async def _record(call: "Call", command: k.RecordCall) -> None:
    if (command.path is None) is not command.stop:
        raise LocalProtocolError("record needs a path, or stop")
    if command.path is not None:
        await call.record(command.path, layout=command.layout, force=command.force)
        return
    finished = await call.stop_recording()
    if finished is None:
        raise LocalProtocolError("no recording that was begun on command runs")
    if finished.failure is not None:
        raise AudioFileError(finished.failure)


async def _change_device(call: "Call", microphone: str | None, loudspeaker: str | None) -> None:
    if microphone is None and loudspeaker is None:
        raise LocalProtocolError("device needs an input or an output")
    await call.set_device(microphone=microphone, loudspeaker=loudspeaker)


def _check_whole(played: bool) -> None:
    if not played:
        raise LocalProtocolError("it was stopped, or the call ended, before its end")


def _rings(call: "Call") -> bool:
    return not call.outbound and call.details.answered_at is None


def _check_rings(call: "Call", consequence: str) -> None:
    if not _rings(call):
        how = "was called from here" if call.outbound else "was answered already"
        raise LocalProtocolError(f"that call {how}: {consequence}")
