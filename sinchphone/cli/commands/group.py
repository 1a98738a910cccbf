"""``group``: be in a group in which everybody calls everybody else."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, assert_never

import typer

from sinchphone.cli.calling.call_session import CallSession, Wishes
from sinchphone.cli.calling.media.sounds import sound_options
from sinchphone.cli.calling.phone import Phone, follow, open_phone
from sinchphone.cli.endings import Order, code_of_order
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import SoundFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.keys import Keys
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.events.client import GroupCallAdded, GroupCallRemoved, GroupJoined
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.protocol.names import GROUP_RULE, is_group_name
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from sinchphone.engine.calls.call import Call
    from sinchphone.engine.group_call import GroupCall

_KEYS: Final = "m mutes, q leaves"


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(group))


def group(
    context: typer.Context,
    flags: SoundFlags,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The group's name, 1 to 64 characters without spaces.")],
) -> ExitCode:
    """Be in a group: everybody who gives the same name calls everybody else. At a terminal: m mutes, q leaves."""
    single = flags.record, flags.say, flags.mute, flags.dtmf, flags.control, flags.hangup_after_play, flags.reads_standard_input
    if any(single):
        raise typer.BadParameter("--record, --say, --mute, --dtmf, --control, --hangup-after-play and standard input are for a single call")
    if not is_group_name(name):
        raise typer.BadParameter(GROUP_RULE, param_hint="NAME")
    session = session_of(flags)
    return run(session, lambda session: _be_in(session, name, flags))


async def _be_in(session: Session, name: str, flags: SoundFlags) -> ExitCode:
    sound = sound_options(flags, session.options)
    with Keys(session.stdin) as keys:
        session.terminal_users.append(keys)
        async with open_phone(session, sound=lambda: sound) as phone, asyncio.TaskGroup() as task_group:
            follower = task_group.create_task(follow(session, phone, _decline), name="client events")
            joined = await phone.client.call_group(name)
            seat = _Seat(session, phone, joined, keys)
            events = task_group.create_task(seat.follow_events(), name="group events")
            order = await seat.stay(session.options.max_duration)
            await joined.leave()
            await events
            follower.cancel()
    return code_of_order(order, established=seat.met_somebody, interactive=session.interactive)


async def _decline(call: "Call") -> None:
    """Who calls and isn't of the group hears that we're busy."""
    await call.decline(busy=True)


class _Seat:
    """Our place in the group."""

    def __init__(self, session: Session, phone: Phone, joined: "GroupCall", keys: Keys) -> None:
        self.met_somebody = False
        self._session = session
        self._phone = phone
        self._group = joined
        self._keys = keys
        self._muted = False
        self._order = Order.KEY

    async def stay(self, limit: float | None) -> Order:
        """Until q, an order from outside, or the end of the time."""
        stop = self._session.stop
        with stop.taken():
            work = start_task(self._obey_keys(), name="keys")
            order = start_task(stop.wait(), name="stop")
            try:
                done, _ = await asyncio.wait({work, order}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            finally:
                work.cancel()
                order.cancel()
        self._order = Order.TIME_UP if not done else stop.order or Order.KEY
        return self._order

    async def _obey_keys(self) -> None:
        while True:
            match await self._keys.press():
                case "q":
                    return
                case "m":
                    self._muted = not self._muted
                    for call in self._group.calls:
                        self._mute(call)
                case _:
                    self._session.note(_KEYS)

    def _mute(self, call: "Call") -> None:
        call.mute(self._muted)
        self._session.tell(e.CallMuted(call_id=call.id, muted=self._muted))

    async def follow_events(self) -> None:
        """Tell who comes and goes, until the group is left."""
        from sinchphone.engine.group_call import LocalMediaAdded, RemoteCallAdded, RemoteCallRemoved

        async for event in self._group.events():
            match event:
                case LocalMediaAdded(group=name):
                    self._session.tell(GroupJoined(group=name, user_id=self._phone.client.user_id))
                    if self._keys.usable:
                        self._session.note(_KEYS)
                case RemoteCallAdded(call=call):
                    self.met_somebody = True
                    self._session.tell(GroupCallAdded(call_id=call.id, group=self._group.name, peer=call.peer, outbound=call.outbound))
                    if self._muted:
                        self._mute(call)
                case RemoteCallRemoved(call=call):
                    self._tell_removed(call)
                case _:
                    assert_never(event)

    def _tell_removed(self, call: "Call") -> None:
        self._session.tell(GroupCallRemoved(call_id=call.id, group=self._group.name, peer=call.peer))
        over = CallSession(self._session, call, Wishes(), self._keys)
        over.order = self._order if self._group.is_over else None
        over.tell_end()
