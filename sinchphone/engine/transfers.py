"""Calls that go on with somebody else: we are sent there, or somebody comes in the place of who we talk with.

::

    the peer's wish        -> a call of ours, unheard -> established -> Call.go_on_with; the peer is told, and leaves
    INVITE that names our call, from who was sent here -> answered, unheard -> established -> Call.go_on_with
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, TypeAlias

from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.participant import called
from sinchphone.engine.calls.transfers.followed import destination_of, news_of
from sinchphone.errors import SinchphoneError, TransferError
from sinchphone.protocol.call.states import State
from sinchphone.protocol.call.transfer_events import NO_CALL_TO_REPLACE, REPLACES_HEADER, TransferNews, TransferWish
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import cancel_all, start_task

LEAVES_S: Final = 2.0  # for who has put others in each other's place to leave by itself
NO_SUCH_CALL: Final = CallFailure(481, NO_CALL_TO_REPLACE, "session")

PlaceUnheard: TypeAlias = Callable[[Domain, str, Mapping[str, str], Call], Awaitable[Call]]


class Transfers:
    """Of one client. For the loop's thread."""

    def __init__(self, place: PlaceUnheard, calls: Callable[[], Iterable[Call]]) -> None:
        """``place`` begins a call, unheard, for the sake of another one; ``calls`` are those that go on."""
        self._place = place
        self._calls = calls
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, call: Call, wish: TransferWish) -> None:
        """The peer of that call sends us to somebody else."""
        self._start(self._follow(call, wish), call)

    def replaced(self, headers: Mapping[str, str]) -> Call | None:
        """The call of ours in whose peer's place somebody comes who calls with these headers."""
        named = headers.get(REPLACES_HEADER)
        return next((call for call in self._calls() if call.wire_id == named and call.state is State.ESTABLISHED), None)

    def take(self, call: Call, other: Call) -> None:
        """``other``, which rings unheard, is to have the place of that call's peer."""
        call.succession.expect(other)  # before anything else ends the call: it would be over, and not wait for the other
        self._start(self._take(call, other), call)

    async def close(self) -> None:
        """Nobody is followed any more."""
        await cancel_all(self._tasks)

    async def _follow(self, call: Call, wish: TransferWish) -> None:
        try:
            domain, identity = destination_of(wish)
            if call.succession.is_open:
                raise TransferError("another transfer is under way", status=491)
            headers = {REPLACES_HEADER: wish.replaces} if wish.replaces else {}
            call.tell_transfer(TransferNews(100))
            other = await self._place(domain, identity, headers, call)
        except TransferError as error:
            call.tell_transfer(TransferNews(error.status, str(error)))
            return
        except SinchphoneError as error:
            call.tell_transfer(TransferNews(500, str(error)))
            return
        if domain is not Domain.CONFERENCE and wish.replaces:
            domain, identity = (Domain.MXP if other.peer == wish.to else Domain.SIP if "@" in wish.to else Domain.PSTN), wish.to
        if call.state is State.ENDED:
            await other.hang_up()
            return
        call.succession.expect(other)
        if await other.established():
            call.tell_transfer(TransferNews(200))
            await self._leave(call.go_on_with(other, identity, domain, called(domain, identity)))
        else:
            call.succession.drop()
            call.tell_transfer(news_of(other.details))

    async def _take(self, call: Call, other: Call) -> None:
        await other.answer()
        if await other.established():
            await self._leave(call.go_on_with(other, other.peer, other.domain, other.remote))
        else:
            call.succession.drop()

    async def _leave(self, leave: Callable[[], None]) -> None:
        """Who has sent us there leaves; where not, we do."""
        await asyncio.sleep(LEAVES_S)
        leave()

    def _start(self, work: Coroutine[Any, Any, None], call: Call) -> None:
        start_task(work, name=f"transfer of {call.id}", among=self._tasks)
