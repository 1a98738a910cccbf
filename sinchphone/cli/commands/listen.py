"""``listen``: wait for calls and messages; answer calls by hand or by itself."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import typer
import typer.core

from sinchphone.cli.addressing.contacts import contacts_of
from sinchphone.cli.calling.call_session import CallSession, Wishes
from sinchphone.cli.calling.in_call.steering import Steering
from sinchphone.cli.calling.media.sounds import check_files, picture_options, requests_of, share_output, sound_options
from sinchphone.cli.calling.phone import Phone, follow, open_phone
from sinchphone.cli.calling.screening import Screening
from sinchphone.cli.calling.terminal_calls import MOST, TerminalCalls
from sinchphone.cli.calling.waiting import WaitingCall
from sinchphone.cli.control.stream import ControlStream, open_stream
from sinchphone.cli.endings import Order, code_of_order
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.hooks.hooks import Hooks, open_hooks
from sinchphone.cli.terminal.flags.commands import AnswerFlags, ListenFlags, seconds
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.keys import Keys
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.rendering import place
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.service import READY, STOPPING, notify
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.errors import NotFoundError
from sinchphone.protocol.call.states import Cause, EndedBy, State
from sinchphone.tasks import start_task

SLEEP_AFTER_S: Final = 2.0  # with --push: without a call for so long, nothing is subscribed any more

if TYPE_CHECKING:
    from sinchphone.engine.calls.call import Call
    from sinchphone.media.pictures.pictures import PictureOptions
    from sinchphone.media.sound import SoundOptions


class AnsweringCommand(typer.core.TyperCommand):
    """``--auto-answer`` takes a delay or nothing, which Typer has no word for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """With a delay in every case."""
        return super().parse_args(ctx, with_delays(args))


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name, cls=AnsweringCommand)(with_flags(listen))


def with_delays(arguments: list[str]) -> list[str]:
    """``--auto-answer`` without a delay becomes ``--auto-answer 0s``."""
    full: list[str] = []
    for argument, following in itertools.zip_longest(arguments, arguments[1:], fillvalue="-"):
        full.append(argument)
        if argument == "--auto-answer" and following.startswith("-"):
            full.append("0s")
    return full


def listen(context: typer.Context, flags: ListenFlags) -> ExitCode:
    """Wait for calls and messages. At a terminal: a or Enter answers, x declines, i silences. Messages are printed and acknowledged."""
    if flags.once and flags.count is not None:
        raise typer.BadParameter("--once and --count exclude each other")
    session = session_of(flags)
    stream, keys = open_stream(flags.control), None if flags.reads_standard_input else session.stdin
    duty = Duty.of(flags)
    return run(session, lambda session: take_calls(session, duty, flags, keys, lambda phone: _begin(phone, flags), stream))


@dataclass(slots=True)
class Duty:
    """What a listener has to do, and how much of it is done."""

    wanted: int | None  # calls, None for any number
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    codes: list[ExitCode] = field(default_factory=list)  # of the calls that count

    for_: float | None = None  # seconds, then it's over
    patience: float | None = None  # seconds until the first call

    @classmethod
    def of(cls, flags: ListenFlags) -> "Duty":
        """What the options ask for."""
        wanted = 1 if flags.once else flags.count
        return cls(wanted, tuple(flags.allow or ()), tuple(flags.deny or ()), for_=seconds(flags.for_))

    @property
    def is_done(self) -> bool:
        """Whether all calls that were waited for came."""
        return self.wanted is not None and len(self.codes) >= self.wanted

    @property
    def code(self) -> ExitCode:
        """The first failure of a call, unless nobody counts them."""
        failed = [code for code in self.codes if code is not ExitCode.OK]
        return failed[0] if failed and self.wanted is not None else ExitCode.OK

    def takes(self, peer: str) -> bool:
        """Whether calls from ``peer`` are wanted: not denied, and allowed where anything is said about that."""
        if any(fnmatchcase(peer, pattern) for pattern in self.deny):
            return False
        return not self.allow or any(fnmatchcase(peer, pattern) for pattern in self.allow)


class _Listener:
    """Takes one call at a time. At a terminal a second one may wait meanwhile; others are told that we're busy."""

    def __init__(self, session: Session, phone: Phone, duty: Duty, flags: AnswerFlags, keys: Keys, hooks: Hooks) -> None:
        self.steering = Steering(session, phone)
        self.screening = Screening(session, hooks, self.steering)
        self._steered = flags.control is not None
        self.duty = duty
        self._session = session
        self._phone = phone
        self._keys = keys
        self._calls = TerminalCalls(session, keys, self.take_waiting)
        self._beside: set[asyncio.Task[None]] = set()  # calls that were answered while another went on
        self._wishes = Wishes(
            max_duration=session.options.max_duration,
            answer_after=seconds(flags.auto_answer),
            hangup_after_play=flags.hangup_after_play,
            muted=flags.mute,
            requests=requests_of(flags),
            video_window=flags.video_window,
        )
        self._ringing: asyncio.Queue[CallSession] = asyncio.Queue()
        self._busy = False
        self._talk: CallSession | None = None
        self._waiting: WaitingCall | None = None
        self.was_established = False  # the last call
        self.came_at: dict[str, str] = {}  # when calls came, by their ids

    async def take(self, call: "Call") -> None:
        """An incoming call."""
        name = (await asyncio.to_thread(contacts_of(self._session.options).names)).get(call.peer)
        headers, video = dict(call.headers), call.video_offered
        told = e.CallIncoming(call_id=call.id, peer=call.peer, domain=call.domain, headers=headers, contact=name, video=video)
        self._session.tell(told)
        self.came_at[call.id] = time.strftime("%H:%M")
        if not self.duty.takes(call.peer):
            await self._refuse(call, Order.DENIED)
        elif (front := self._calls.front) is not None and self._may_wait(front):
            self.screening.begin(call, told)
            self._waiting = WaitingCall(self._session, call, front, self._keys)
        elif self._busy:
            await self._refuse(call, Order.BUSY)
        else:
            self._busy = True
            self.screening.begin(call, told)
            self._ringing.put_nowait(self._conversation(call))

    def _conversation(self, call: "Call") -> CallSession:
        """The call, where commands find it from now on."""
        conversation = CallSession(self._session, call, self._wishes_of(call), self._keys)
        self.steering.follow(conversation)
        return conversation

    def _may_wait(self, talk: CallSession) -> bool:
        """Whether somebody talks who can take a second call, by a key or a command, no other waits, and one more is wanted."""
        waits = self._waiting is not None and not self._waiting.is_over
        more = self.duty.wanted is None or len(self.duty.codes) + self._calls.count < self.duty.wanted
        room = self._calls.count < MOST
        return (self._keys.usable or self._steered) and more and room and not waits and talk.call.state is State.ESTABLISHED

    async def _refuse(self, call: "Call", order: Order) -> None:
        await call.decline(busy=order is Order.BUSY)
        self._session.tell(
            e.CallEnded(
                call_id=call.id,
                peer=call.peer,
                outbound=False,
                cause=Cause.DENIED,
                ended_by=EndedBy.US,
                answered=False,
                setup_ms=None,
                establishing_ms=None,
                duration_ms=None,
                code=None,
                reason=order.value,
                hint=None,
            )
        )

    async def work(self) -> None:
        """Take calls until there were enough."""
        while not self.duty.is_done:
            conversation = await self._next_call()
            if conversation is None:
                return
            self._talk = conversation
            await self._talk_to(conversation)
            while self._beside:
                await asyncio.gather(*self._beside)
            self._busy = await self._next_waits()
            if self._session.stop.order is not None:
                return

    async def _talk_to(self, conversation: CallSession) -> None:
        ending = await self._calls.run(conversation)
        details = conversation.call.details
        self.was_established = details.established_at is not None
        if details.answered_at is not None or conversation.order is Order.DECLINED:
            self.duty.codes.append(ending.code)

    def take_waiting(self) -> None:
        """Hold the call in front, and answer who waits."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            start_task(self._talk_beside(waiting), name="second call", among=self._beside)

    async def _talk_beside(self, waiting: WaitingCall) -> None:
        call = await waiting.take_over(aloud=False)
        if call is not None:
            conversation = CallSession(self._session, call, replace(self._wishes, answer_after=0.0), self._keys)
            self.steering.follow(conversation)
            await self._talk_to(conversation)

    def _wishes_of(self, call: "Call") -> Wishes:
        """One that a hook wants is answered at once; others when no hook minds."""
        if call.id in self.screening.welcome:
            return replace(self._wishes, answer_after=0.0)
        return replace(self._wishes, screened=self.screening.pending(call.id))

    async def _next_waits(self) -> bool:
        """Whether a second call waited until the first was over; then it is the next."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and self._session.stop.order is not None:
            await waiting.give_up()
            return False
        call = await waiting.take_over(aloud=self._session.stop.order is None) if waiting is not None else None
        if call is not None:
            self._ringing.put_nowait(self._conversation(call))
        return call is not None

    async def _next_call(self) -> CallSession | None:
        """The next call, or ``None`` where q was pressed or the end was ordered."""
        stop = self._session.stop
        with stop.taken():
            while True:
                call = start_task(self._ringing.get(), name="next call")
                key = start_task(self._keys.press(), name="key")
                order = start_task(stop.wait(), name="stop")
                try:
                    patience = self.duty.patience if self._talk is None else None
                    done, _ = await asyncio.wait({call, key, order}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                    if not done:
                        raise NotFoundError("the call isn't there any more", hint="it was answered elsewhere, or the caller hung up")
                    if call.done():
                        return call.result()
                    if order.done() or key.result() == "q":
                        return None
                    self._session.note("q ends")
                finally:
                    for task in (call, key, order):
                        task.cancel()


async def _begin(phone: Phone, flags: ListenFlags) -> None:
    if flags.push:
        await phone.client.set_support_managed_push(sleep_after=SLEEP_AFTER_S)


async def take_calls(
    session: Session,
    duty: Duty,
    flags: AnswerFlags,
    stdin: "TextIO | None",
    begin: "Callable[[Phone], Awaitable[None]]",
    stream: "ControlStream | None" = None,
) -> ExitCode:
    """Take calls until that is done. ``begin`` is told when the phone is registered; keys come from ``stdin``, commands from ``stream``.
    Raises NotFoundError where no call came in the duty's patience."""
    from sinchphone.media.local_audio.devices.streams import check_named

    async with open_hooks(session) as hooks:
        with Keys(stdin) as keys:
            session.terminal_users.append(keys)
            await asyncio.to_thread(check_files, flags)
            sound = share_output(sound_options(flags, session.options))
            await asyncio.to_thread(check_named, sound)
            answers = keys.expected or flags.auto_answer is not None or stream is not None or hooks.decides
            sounds = sounds_of_calls(sound, session.recordings)
            videos = pictures_of_calls(await _checked_pictures(session, flags), session.recordings)
            async with open_phone(session, sound=sounds if answers else None, video=videos) as phone:
                listener = _Listener(session, phone, duty, flags, keys, hooks)
                session.screen.show_times()
                if answers:
                    await begin(phone)
                _tell_readiness(session, phone, answers=answers)
                notify(READY)
                try:
                    in_time = await _within(duty.for_, session, phone, listener, stream)
                finally:
                    notify(STOPPING)
    if told := missed_calls(listener.came_at, session.calls):
        session.note(told)
    return _outcome(session, listener, in_time=in_time)


async def _checked_pictures(session: Session, flags: AnswerFlags) -> "PictureOptions | None":
    """The pictures of calls. Raises DeviceError and AudioFileError for what isn't there."""
    pictures = picture_options(flags, session.options)
    if pictures is not None:
        from sinchphone.media.local_video.local_video import check_source

        await asyncio.to_thread(check_source, pictures)
    return pictures


def missed_calls(came_at: "Mapping[str, str]", ended: "Sequence[e.CallEnded]") -> str:
    """Who called in vain, and when: ``missed: bob at 12:03, carol at 12:05 and 12:09``; empty for nobody. ``came_at``: by the calls' ids.
    Whom a person or an option declined was not missed."""
    times: dict[str, list[str]] = {}
    for one in ended:
        in_vain = not one.outbound and not one.answered and one.call_id in came_at
        if in_vain and one.ended_by is not EndedBy.US and one.cause is not Cause.OTHER_DEVICE_ANSWERED:
            times.setdefault(one.peer, []).append(came_at[one.call_id])
    return "missed: " + ", ".join(f"{peer} at {' and '.join(at)}" for peer, at in times.items()) if times else ""


def _tell_readiness(session: Session, phone: Phone, *, answers: bool) -> None:
    if not answers:
        hint = "use --auto-answer, --on incoming=CMD or --control, or listen at a terminal"
        session.tell(e.Warned(message="nobody can answer here, so nobody can call: messages alone are taken", hint=hint))
    awaited = "calls and messages" if answers else "messages"
    session.note(f"{phone.client.user_id} is waiting for {awaited} ({place(phone.place, phone.hosted_here)}); Ctrl-C ends")


def sounds_of_calls(options: "SoundOptions", recorded: list[str]) -> "Callable[[], SoundOptions]":
    """The sound of each call, with a recording of its own; ``recorded`` grows with each."""
    return lambda: replace(options, record=_record_of_call(options.record, recorded, force=options.force))


def pictures_of_calls(options: "PictureOptions | None", recorded: list[str]) -> "Callable[[], PictureOptions | None]":
    """The pictures of each call, in the same way."""
    return lambda: options and replace(options, record=_record_of_call(options.record, recorded, force=options.force))


def _record_of_call(path: str | None, recorded: list[str], *, force: bool) -> str | None:
    """Where the next call is recorded: the first goes to the file that was named, later ones to ``name-2.wav``, ``name-3.wav``, as far as
    these are free; where ``{call}`` is in the name, each has its own."""
    from sinchphone.media.sound import CALL

    before = 0 if path is None else sum(Path(one).suffix == Path(path).suffix for one in recorded)
    if path is None or not before or CALL in path:
        return path
    number = before + 1
    while not force and Path(numbered(path, number)).exists():
        number += 1
    return numbered(path, number)


def numbered(path: str, number: int) -> str:
    """``path`` with a number before its suffix."""
    named = Path(path)
    return str(named.with_name(f"{named.stem}-{number}{named.suffix}"))


async def _within(limit: float | None, session: Session, phone: Phone, listener: _Listener, stream: ControlStream | None) -> bool:
    """Whether the work was done before the time was up. A call that is there is hung up then."""
    async with asyncio.TaskGroup() as group:
        follower = group.create_task(follow(session, phone, listener.take), name="client events")
        work = group.create_task(listener.work(), name="listener")
        control = listener.steering.obey(stream, group)
        in_time, _ = await asyncio.wait({work}, timeout=limit)
        if not in_time and session.stop.is_taken:
            session.stop.give(Order.TIME_UP)
            await asyncio.wait({work})
        for task in (work, follower, *control):
            task.cancel()
        await listener.screening.close()
    return bool(in_time)


def _outcome(session: Session, listener: _Listener, *, in_time: bool) -> ExitCode:
    duty, order = listener.duty, session.stop.order
    if duty.is_done or (not in_time and duty.wanted is None):
        return duty.code
    if not in_time:
        wanted = "a call was" if duty.wanted == 1 else f"{duty.wanted} calls were"
        session.problem = e.Problem(message=f"the time was up before {wanted} taken", hint=None)
        return ExitCode.DEADLINE
    if order is not None:
        endless = duty.wanted is None  # then Ctrl-C at a terminal is how it is meant to end
        return code_of_order(order, established=endless or listener.was_established, interactive=session.interactive)
    return duty.code
