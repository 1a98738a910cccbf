"""One call, driven for a person or a script: tells its events, obeys keys, signals and deadlines, and says how it ended."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Protocol, assert_never

from sinchphone.cli.calling.call_events import CallEventTeller
from sinchphone.cli.calling.in_call.call_keys import CallKeys
from sinchphone.cli.calling.in_call.dialling import Dialler
from sinchphone.cli.calling.in_call.transferring import TransferKeys
from sinchphone.cli.calling.media.figures import lost_percent, ms_between
from sinchphone.cli.calling.media.seeing import Seeing
from sinchphone.cli.calling.outcomes import Outcomes, Requests, words_of
from sinchphone.cli.endings import Ending, Order, describe
from sinchphone.cli.exits import ExitCode, sip_failure
from sinchphone.cli.terminal.flags.commands import VideoWindow
from sinchphone.cli.terminal.keys import Keys, Pressed
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.screen.statistics_panel import Panel
from sinchphone.cli.terminal.screen.status_line import KEYS_IN_CALL, KEYS_RINGING, KeyHints, Status
from sinchphone.cli.terminal.session import Session
from sinchphone.errors import SinchphoneError
from sinchphone.protocol.call.states import Cause, State
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.engine.calls.call import Call

FINISH_S: Final = 3.0  # for the call to let go of its files and devices
REDRAW_S: Final = 0.2


class Probe(Protocol):
    """What checks the line in place of a conversation."""

    def begin(self) -> None:
        """Sound flows: start."""

    def heard(self) -> tuple[bool, bool, int | None, float | None]:
        """Whether the echo and whether any sound came back, how late [ms] and how loud [dBFS]."""


@quick_dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be done in a call. Times in seconds."""

    ring_timeout: float | None = None
    max_duration: float | None = None
    answer_after: float | None = None
    hangup_after_play: bool = False
    muted: bool = False  # from the start
    requests: Requests = field(default_factory=Requests)
    probe: Probe | None = None
    probe_seconds: float = 0.0
    screened: asyncio.Event | None = None  # before which no call is answered after a delay
    video_window: VideoWindow = VideoWindow.AUTO


class OtherCalls(Protocol):
    """The calls of one terminal, as one of them sees the others."""

    take_waiting: Callable[[], None] | None

    @property
    def front(self) -> "CallSession | None":
        """Who has the keys and the screen."""

    @property
    def count(self) -> int:
        """How many calls there are."""

    def other(self, talk: "CallSession") -> "CallSession | None":
        """The other call that is established, where there are two."""

    def ways(self, talk: "CallSession") -> list[str]:
        """What keys do about the other call, in a few words each."""


class CallSession:
    """Runs one call. ``ending`` says how it went, once ``run`` is over; ``order`` why we ended it, if we did."""

    def __init__(self, session: Session, call: "Call", wishes: Wishes, keys: Keys) -> None:
        self.ending: Ending | None = None
        self.call = call
        self.waiting: Call | None = None  # somebody else, who rings meanwhile
        self.calls: OtherCalls | None = None
        self._session = session
        self._call = call
        self._wishes = wishes
        self._keys = keys
        self.order: Order | None = None
        self._established = asyncio.Event()
        self._check: e.CheckFinished | None = None
        self._packets: int | None = None  # received, by the end of a check
        self._outcomes = Outcomes(wishes.requests)
        self._told = CallEventTeller(session, call, self._outcomes, keys)
        self._dialled = asyncio.Event()
        self._dialler = Dialler(session, call, wishes.requests.dtmf, self._dialling_over)
        self._call_keys = CallKeys(session, self, self._dialler)
        self.seeing = Seeing(session, call, keys, wishes.video_window, self._outcomes)

    def stand_among(self, calls: OtherCalls) -> None:
        """The terminal may have another call too: told before ``run``."""
        self.calls = calls

    async def run(self) -> Ending:
        """Follow the call to its end. Cancelling leaves the call to its owner, the client, which hangs up."""
        if not self._call.outbound and self._wishes.answer_after != 0:
            self._tell_keys(KEYS_RINGING)
        if self._wishes.muted:
            self.mute(True)
        with self._session.stop.taken():
            async with asyncio.TaskGroup() as group:
                to_the_end = {
                    group.create_task(self._told.follow_sound(), name="sound events"),
                    group.create_task(self._told.follow(), name="call events"),
                    group.create_task(self.seeing.follow(), name="picture events"),
                }
                dialling = group.create_task(self._dial(), name="digits")
                others = [group.create_task(work, name="conversation") for work in self._companions()]
                await self._follow_states()
                for task in others:
                    task.cancel()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._call.closed(), FINISH_S)
                    await asyncio.wait(to_the_end, timeout=FINISH_S)
                    if self._dialler.sending:  # the peer may hang up on what it has heard
                        await asyncio.wait({dialling}, timeout=FINISH_S)
                for task in (*to_the_end, dialling):
                    task.cancel()
        return self._judged()

    def _judged(self) -> Ending:
        """How it ended, with what became of all that was asked for."""
        assert self.ending is not None
        established = self._call.details.established_at is not None
        told, ending = self._outcomes.judge(self._call.id, self.ending, self.order, established=established)
        self._session.requests += told
        for one in told:
            silent = one.kind is e.RequestKind.PIPE_IN  # other failures were told when they happened
            if established and (one.outcome is e.Outcome.CUT_SHORT or (silent and one.outcome is e.Outcome.FAILED)):
                self._session.tell(e.Warned(message=words_of(one), hint=None))
        if ending is not self.ending:
            self._session.problem = e.Problem(message=ending.reason, hint=ending.hint)
            self.ending = ending
        return ending

    def _companions(self) -> list[Coroutine[Any, Any, None]]:
        wishes = self._wishes
        return [
            self._follow_stop(),
            self._refresh(),
            *([self.seeing.show()] if self._call.pictures is not None else []),
            *([self._limit_ringing(wishes.ring_timeout)] if wishes.ring_timeout is not None and self._call.outbound else []),
            *([self._limit_talking(wishes.max_duration)] if wishes.max_duration is not None else []),
            *([self._answer_after(wishes.answer_after)] if wishes.answer_after is not None else []),
            *([self._say(wishes.requests.say)] if wishes.requests.say is not None else []),
            *([self._hang_up_after_play()] if wishes.hangup_after_play else []),
            *([self._run_probe(wishes.probe)] if wishes.probe is not None else []),
        ]

    # The call's states become events

    async def _follow_states(self) -> None:
        async for state in self._call.states():
            self._tell_state(state)
            if self.ending is None:
                self._draw()

    def _tell_state(self, state: State) -> None:
        call, details = self._call, self._call.details
        match state:
            case State.PROGRESSING:
                self._session.tell(e.CallProgressing(call_id=call.id))
            case State.RINGING:
                if call.outbound:
                    self._session.tell(e.CallRinging(call_id=call.id))
            case State.ANSWERED:
                self._session.tell(e.CallAnswered(call_id=call.id, after_ms=ms_between(details.started_at, details.answered_at)))
            case State.ESTABLISHED:
                self._established.set()
                self._session.tell(
                    e.CallEstablished(
                        call_id=call.id,
                        setup_ms=details.setup_ms,
                        establishing_ms=details.establishing_ms,
                        codec=details.codec,
                        pair=details.pair,
                        video_codec=details.video_codec,
                    )
                )
                self._tell_keys(KEYS_IN_CALL)
            case State.ENDED:
                self.tell_end()
            case State.CREATED:
                pass  # call.outgoing or call.incoming said it
            case _:
                assert_never(state)

    def _tell_keys(self, hints: KeyHints) -> None:
        """Once, where no status line names them all the time."""
        if self._keys.usable and not self._session.screen.is_live:
            self._session.note(hints.full)

    def tell_end(self) -> None:
        """The call is over: tell how, and set ``ending``."""
        call, details, session = self._call, self._call.details, self._session
        self._dialler.tell_dropped()
        ending = describe(
            details, peer=call.peer, domain=call.domain, outbound=call.outbound, order=self.order, interactive=session.interactive
        )
        self._told.close()
        self._tell_check()
        if self._check is not None and self._check.packets_received == 0 and not self._check.sound:
            ending = Ending(ExitCode.MEDIA, ending.reason, "no packet of sound arrived: a firewall may keep it out")
        established, sip = details.established_at is not None, sip_failure(details)
        session.tell(
            e.CallEnded(
                call_id=call.id,
                peer=call.peer,
                outbound=call.outbound,
                cause=details.cause,
                ended_by=details.ended_by,
                answered=details.answered_at is not None,
                setup_ms=details.setup_ms,
                establishing_ms=details.establishing_ms,
                duration_ms=details.duration_ms if established else None,
                code=details.failure.code if details.failure else None,
                reason=ending.reason,
                hint=ending.hint,
                sip=e.SipFailure(code=sip[0], reason=sip[1]) if sip else None,
                beside=self.calls is not None and self.calls.count > 1,
            )
        )
        if call.outbound and details.cause is Cause.FAILURE and not established:
            session.problem = e.Problem(message=ending.reason, hint=ending.hint)
        self.ending = ending

    # Digits

    def _dialling_over(self, failure: str | None) -> None:
        self._outcomes.digits_over(failure)
        self._dialled.set()

    async def _hang_up_after_play(self) -> None:
        """When everything was played, and dialled."""
        await self._told.played.wait()
        if self._wishes.requests.dtmf is not None:
            await self._dialled.wait()
        await self.hang_up(Order.PLAYED)

    async def _say(self, text: str) -> None:
        """Speak it once there is somebody to hear it; it counts as played, whatever became of it."""
        await self._established.wait()
        try:
            self._outcomes.said(cut_short=not await self._call.say(text))
        except SinchphoneError as error:
            self._outcomes.said(str(error))
            self._session.tell(e.Warned(message=f"nothing is said: {error}", hint=error.hint or None))
        self._told.played.set()

    async def _dial(self) -> None:
        """Send what was asked for once there is somebody to hear it."""
        await self._established.wait()
        await self._dialler.run()

    # Orders

    async def hang_up(self, order: Order) -> None:
        """End the call; the first order counts, and a transfer that is under way is none that ended it."""
        if self.order is None or (self.order is Order.TRANSFERRED and self._call.state is not State.ENDED):
            self.order = order
            await self._call.hang_up()

    def mute(self, muted: bool) -> None:
        """Have the peer hear silence, or us again."""
        self._call.mute(muted)
        self._session.tell(e.CallMuted(call_id=self._call.id, muted=muted))

    async def _follow_stop(self) -> None:
        order = await self._session.stop.wait()
        if order is Order.INTERRUPT:
            self._session.note("hanging up (Ctrl-C again leaves at once)")
        elif order is Order.TERMINATE:
            self._session.note("terminated: hanging up")
        await self.hang_up(order)

    async def _limit_ringing(self, limit: float) -> None:
        await asyncio.sleep(limit)
        if self._call.details.answered_at is None:
            await self.hang_up(Order.RING_TIMEOUT)

    async def _limit_talking(self, limit: float) -> None:
        await self._established.wait()
        await asyncio.sleep(limit)
        await self.hang_up(Order.TIME_UP)

    async def _answer_after(self, delay: float) -> None:
        if self._wishes.screened is not None:
            await self._wishes.screened.wait()
        await asyncio.sleep(delay)
        await self._call.answer()

    async def _run_probe(self, probe: Probe) -> None:
        await self._established.wait()
        probe.begin()
        await asyncio.sleep(self._wishes.probe_seconds)
        with contextlib.suppress(SinchphoneError):  # the leg is closing
            self._packets = (await self._call.stats()).packets_received
        await self.hang_up(Order.CHECKED)

    def _tell_check(self) -> None:
        if self._wishes.probe is not None and self._established.is_set():
            echo, sound, delay_ms, level = self._wishes.probe.heard()
            packets = self._packets
            level = round(level, 1) if level is not None else None
            self._check = e.CheckFinished(
                call_id=self._call.id, echo=echo, sound=sound, packets_received=packets, delay_ms=delay_ms, level_dbfs=level
            )
            self._session.tell(self._check)

    # Keys

    async def take(self, pressed: Pressed) -> None:
        """A key, or a paste, while this call is in front."""
        await self._call_keys.take(pressed)

    @property
    def transfers(self) -> TransferKeys:
        """Where to this call is to be transferred by keys."""
        return self._call_keys.transfers

    def other_keys(self) -> list[str]:
        """What keys do about another call, each in a few words."""
        return self.calls.ways(self) if self.calls is not None else []

    @property
    def seconds(self) -> float:
        """For how long it has been established."""
        return self._call.talked_seconds or 0.0

    # The status line

    async def _refresh(self) -> None:
        while True:
            self._draw()
            await asyncio.sleep(REDRAW_S)

    def _draw(self) -> None:
        if self.calls is None or self.calls.front is self:
            self._session.draw(self._status())

    def _status(self) -> Status:
        call, levels = self._call, self._call.levels()
        stats = self._told.taken.stats if self._told.taken else None
        return Status(
            call.state.value,
            call.peer,
            call.talked_seconds,
            levels.near_dbfs,
            levels.far_dbfs,
            call.muted,
            call.details.codec,
            lost_percent(stats),
            stats.round_trip_ms if stats else None,
            self._dialler.shown,
            self._call_keys.hints if self._keys.usable else None,
            held_by_us=call.held_by_us,
            held_by_peer=call.held_by_peer,
            panel=self._panel(),
            other=self._other(),
            camera=self.seeing.camera,
        )

    def _other(self) -> str:
        """The other call, for the status line."""
        other = self.calls.other(self) if self.calls is not None else None
        if other is None:
            return self._told.room_status
        return f"{'with' if self._call.is_joined else 'held:'} {other.call.peer}"

    def _panel(self) -> Panel | None:
        return self.statistics() if self._call_keys.shows_statistics else None

    def statistics(self) -> Panel:
        """What is known now."""
        return self._told.statistics()
