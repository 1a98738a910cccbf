"""Carries out what a backend answers, as far as a call's own end is concerned: instructions, menus, waiting in a park.

::

    Svaml -> instructions, one after the other -> runMenu -> PIE -> Svaml   \\
                                               -> park -> a change -> Svaml  > until an action is left that connects, ends or goes on
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, Protocol, TypeAlias, assert_never

from sinchphone.audio.frame import RATE, Samples
from sinchphone.errors import MediaError, SinchphoneError
from sinchphone.exchange.destinations.parties import Silence, Speaker
from sinchphone.exchange.refusals import RefusedError
from sinchphone.gateway.callbacks.announcements import Announcements
from sinchphone.gateway.svaml.ends import ScriptedEnd
from sinchphone.gateway.svaml.menus import MenuRun
from sinchphone.protocol.callbacks.menu import MenuResult, MenuResultType
from sinchphone.protocol.callbacks.svaml import (
    Action,
    AnswerCall,
    ConnectMxp,
    Instruction,
    Park,
    PlayFiles,
    Prompt,
    ReportCallStatus,
    RunMenu,
    Say,
    SendDtmf,
    SetCookie,
    StartRecording,
    StopRecording,
    Svaml,
)
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.wire import ErrorCode
from sinchphone.tasks import start_task

MAX_CHANGES: Final = 16  # of a parked call, which wait: each is taken by a park of its own
_AFTER_WORDS_S: Final = 0.2  # on their way when the last is said

_log = logging.getLogger(__name__)


CarryOut: TypeAlias = Callable[[tuple[Instruction, ...]], Coroutine[Any, Any, None]]


class ParkingOverError(SinchphoneError):
    """Nobody has taken a parked call in time."""


class Prompted(Protocol):
    """What a menu tells the backend: ``callbacks.backend.BackendSession``, or whatever stands for it."""

    async def prompted(self, result: MenuResult) -> Svaml:
        """PIE: what to do next. Raises CallbackError."""

    def left(self, result: MenuResult) -> None:
        """PIE whose answer is of no use. Never waits."""


class RecordsCall(Protocol):
    """Records a call's end."""

    async def start(self, end: ScriptedEnd, wanted: StartRecording) -> None:
        """From now on, or from the answer on; nothing where it is recorded already."""

    async def stop(self) -> None:
        """No longer. May be called twice."""


@quick_dataclass(frozen=True, slots=True)
class ScriptParts:
    """What the script of one call needs. ``end`` makes the end of ours when it is first needed; ``steer`` has instructions carried out,
    unless the backend breaks them off meanwhile."""

    end: Callable[[], Awaitable[ScriptedEnd]]
    steer: Callable[[tuple[Instruction, ...], CarryOut], Awaitable[None]]
    announcements: Announcements
    backend: Prompted
    recording: RecordsCall


class Script:
    """One call's SVAML. ``run`` may be called for each event; cancelling it is safe."""

    def __init__(self, parts: ScriptParts) -> None:
        self._parts = parts
        self._changes: asyncio.Queue[Svaml] = asyncio.Queue(MAX_CHANGES)
        self.is_parked = False
        self.is_replaced = False  # while it is broken off for something else to be carried out

    def change(self, answer: Svaml) -> None:
        """What is to become of a parked call: the parking ends at once. Raises RefusedError where too many changes wait already."""
        try:
            self._changes.put_nowait(answer)
        except asyncio.QueueFull as error:
            raise RefusedError(409, ErrorCode.INVALID_REQUEST, f"{MAX_CHANGES} changes of this call wait already") from error

    async def run(self, answer: Svaml) -> Svaml:
        """Carry it out, and what follows from it. What is left: an answer whose action is none of ours. Raises CallbackError, MediaError,
        and ParkingOverError."""
        while True:
            if answer.instructions:
                await self._parts.steer(answer.instructions, partial(self.carry_out, before=answer.action))
            match answer.action:
                case RunMenu():
                    answer = await self._run_menu(answer.action)
                case Park():
                    answer = await self._park(answer.action)
                case _:
                    return answer

    async def carry_out(self, instructions: tuple[Instruction, ...], *, before: Action | None = None) -> None:
        """One after the other. ``before``: the action that they come with."""
        for instruction in instructions:
            match instruction:
                case AnswerCall():
                    await (await self._parts.end()).pick_up()
                case Say() | PlayFiles():
                    await say_to(await self._parts.end(), await self._parts.announcements.render(instruction))
                case SendDtmf(digits):
                    end = await self._parts.end()
                    await end.preview()
                    await end.send_digits(digits)
                case StartRecording():
                    if isinstance(before, ConnectMxp):
                        _log.warning("startRecording is ignored: calls to users (connectMxp) aren't recorded, here as on the platform")
                    else:
                        await self._parts.recording.start(await self._parts.end(), instruction)
                case StopRecording():
                    await self._parts.recording.stop()
                case SetCookie() | ReportCallStatus():
                    pass  # the conversation with the backend has taken it
                case _:
                    assert_never(instruction)

    async def _run_menu(self, plan: RunMenu) -> Svaml:
        """The answer to what came of it. A caller who leaves meanwhile, and sound that fails, are told too."""
        menu = MenuRun(await self._parts.end(), plan, self._say_prompts)
        try:
            result = await menu.run()
        except MediaError:
            self._parts.backend.left(MenuResult(menu.menu, MenuResultType.ERROR))
            raise
        except asyncio.CancelledError:
            if not self.is_replaced:
                self._parts.backend.left(MenuResult(menu.menu, MenuResultType.HANGUP))
            raise
        return await self._parts.backend.prompted(result)

    async def _say_prompts(self, end: ScriptedEnd, prompts: tuple[Prompt, ...], locale: str | None) -> None:
        await say_to(end, await self._parts.announcements.render(PlayFiles(prompts, locale)))

    async def _park(self, parking: Park) -> Svaml:
        """What the backend wants at last. Where it wants nothing in time, the prompt is said to its end first."""
        end = await self._parts.end()
        over = asyncio.Event()
        playing = start_task(self._play_parked(end, parking, over), name="park")
        changing = start_task(self._changes.get(), name="change")
        self.is_parked = True
        try:
            await asyncio.wait({playing, changing}, timeout=parking.max_duration_s, return_when=asyncio.FIRST_COMPLETED)
            if changing.done():
                return changing.result()
            over.set()
            await asyncio.wait({playing, changing}, return_when=asyncio.FIRST_COMPLETED)
            if changing.done():
                return changing.result()
            playing.result()
            raise ParkingOverError(f"nobody has taken the parked call within {parking.max_duration_s} s")
        finally:
            self.is_parked = False
            for task in (playing, changing):
                task.cancel()
            await asyncio.gather(playing, changing, return_exceptions=True)
            await end.listen(Silence())

    async def _play_parked(self, end: ScriptedEnd, parking: Park, over: asyncio.Event) -> None:
        """The first prompt once, the other one again and again; returns after one that ends when it's ``over``."""
        await end.preview()
        await end.listen(Silence())
        if parking.intro:
            await self._say_prompts(end, parking.intro, parking.locale)
        held = await self._parts.announcements.render(PlayFiles(parking.hold, parking.locale)) if parking.hold else None
        while not over.is_set():
            if held is None or not len(held):
                await over.wait()
            else:
                await say_to(end, held, pause_s=0)


async def say_to(end: ScriptedEnd, samples: Samples, *, pause_s: float = _AFTER_WORDS_S) -> None:
    """Say that, early where the call isn't answered, and wait until it is said."""
    await end.preview()
    speaker = Speaker()  # says silence from then on: who hears nothing at all thinks that the line is dead
    speaker.say(samples)
    await end.listen(speaker)
    await asyncio.sleep(len(samples) / RATE + pause_s)
