"""Keeps us registered with the trunk while the gateway runs, so that it calls us; of several processes one at a time.

::

    alone:   start -> REGISTER, now and again -> close -> withdrawn
    several: nobody has it -> claim -> what the one before registered is withdrawn -> REGISTER, now and again
             -> we take no more calls, or end -> withdrawn, released -> another one claims it
             -> refused, or not answered, three times -> released -> another one claims it; we do not before our next try is due, or
                somebody was registered meanwhile
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.processes.trunks import TrunkRows
from sinchphone.exchange.store.store import StoreError
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.gateway.sip.registration import SipRegistration
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_uri
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import cancel_all, start_task

CLAIM_AGAIN_SECONDS: Final = 1.0  # where the store isn't reached
MOST_FAILURES: Final = 3  # then another process is to try: of a silent carrier after two minutes, before a usual registration ends

_log: Final = logging.getLogger(__name__)


@quick_dataclass(frozen=True, slots=True)
class SharedTrunk:
    """The trunk of one application as several processes have it (implements ``trunk_lines.SharedLines``)."""

    rows: TrunkRows
    application: str

    async def count(self, own: int, most: int | None = None) -> bool:
        return await self.rows.count(self.application, own, most)


class TrunkRegistration:
    """Our registration with one trunk, in a task of its own."""

    def __init__(self, agent: SipAgent, trunk: Trunk, shared: SharedTrunk | None = None, intake: Intake | None = None) -> None:
        """Nothing is sent before ``start``. The trunk learns from where it was granted: its calls will come from there. ``shared``: where
        other processes may have it; whose ``intake`` is closed leaves it to them."""
        self._agent = agent
        self._trunk = trunk
        self._shared = shared
        self._intake = intake or Intake()
        self._registration = self._made()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._failures = 0  # of this process in a row, unless another one was registered meanwhile
        self._next_try_at = 0.0  # by the loop's clock: so long others may have it
        self._own_contact = ""  # that was registered last

    def start(self) -> None:
        """Register, now and again; never waits."""
        if self._tasks:
            return
        if self._shared is None:
            start_task(self._registration.run(), name="registration with the trunk", among=self._tasks)
            return
        self._shared.rows.follow(self._others_changed)
        self._others_changed()
        start_task(self._take_part(self._shared), name="registration with the trunk", among=self._tasks)
        start_task(self._leave_in_time(), name="leave the trunk", among=self._tasks)

    async def close(self) -> None:
        """Withdraw, briefly, while there are still sockets, and leave it to the others. May be called twice."""
        await cancel_all({task for task in self._tasks if task is not asyncio.current_task()})
        await self._leave()

    async def _leave(self) -> None:
        if self._shared is None:
            await self._registration.withdraw()
            return
        rows, application = self._shared.rows, self._shared.application
        if not rows.is_ours(application):
            return
        is_told = rows.holder(application).contact == str(self._registration.contact)
        withdrawn = await self._registration.withdraw() and is_told
        try:
            await rows.release(application, withdrawn=withdrawn)
        except StoreError as error:
            _log.info("the registration with the trunk isn't handed on: the others notice by themselves: %s", error)

    async def _leave_in_time(self) -> None:
        """Calls that come are for who takes them."""
        await self._intake.closed()
        await self.close()

    async def _take_part(self, shared: SharedTrunk) -> None:
        """Be registered whenever it's ours, for ever."""
        while True:
            await self._until_free(shared)
            try:
                before = await shared.rows.claim(shared.application)
            except StoreError:
                await asyncio.sleep(CLAIM_AGAIN_SECONDS)
                continue
            if before is None:
                continue
            _log.info("this process of the exchange registers with the trunk from now on")
            self._registration = self._made()
            registering = start_task(self._register(before.contact), name="REGISTER to the trunk", among=self._tasks)
            try:
                await self._until(lambda: not shared.rows.is_ours(shared.application))
            finally:
                await cancel_all([registering])
            if self._failures < MOST_FAILURES:
                _log.warning("this process of the exchange registers with the trunk no more: the others took it for dead")
            await self._registration.withdraw()  # whoever has it now may not have done that

    async def _register(self, before: str) -> None:
        """``before``: the Contact of the process that had it, which may not have withdrawn it."""
        if before and before != self._own_contact:
            try:
                await self._registration.withdraw_other(parse_uri(before))
            except RemoteProtocolError:
                _log.debug("what the process before registered can't be read")
        await self._registration.run(self._failures)

    def _made(self) -> SipRegistration:
        options = self._trunk.options
        shared = self._shared
        holds: Callable[[], bool] = (lambda: True) if shared is None else (lambda: shared.rows.may_register(shared.application))
        return self._agent.registration(
            parse_uri(self._trunk.registrar),
            Credentials(options.username or "", options.password or ""),
            transport=options.transport,
            registered=self._registered,
            holds=holds,
            failed=self._failed,
        )

    def _registered(self, hop: Hop) -> None:
        self._trunk.learnt.add(hop.host)
        self._failures = 0
        self._own_contact = str(self._registration.contact)
        if self._shared is not None:
            start_task(self._told(self._shared, str(self._registration.contact), hop.host), name="tell of the trunk", among=self._tasks)

    def _failed(self, pause: float) -> None:
        self._failures += 1
        if self._shared is not None and self._failures >= MOST_FAILURES:
            self._next_try_at = asyncio.get_running_loop().time() + pause
            start_task(self._hand_on(self._shared), name="hand the trunk on", among=self._tasks)

    async def _hand_on(self, shared: SharedTrunk) -> None:
        """It may be us who don't reach the carrier, and not the others."""
        try:
            await shared.rows.release(shared.application, withdrawn=False)
        except StoreError:
            return  # it's tried here again
        _log.warning("this process of the exchange could not register with the trunk %d times: another one may", self._failures)
        self._changed.set()

    async def _told(self, shared: SharedTrunk, contact: str, address: str) -> None:
        try:
            await shared.rows.registered(shared.application, contact, address)
        except StoreError as error:
            _log.info("the others aren't told of the registration with the trunk: %s", error)

    def _others_changed(self) -> None:
        assert self._shared is not None, "there are others"
        holder = self._shared.rows.holder(self._shared.application)
        self._trunk.learnt.update(holder.addresses)
        if holder.is_registered and holder.process != self._shared.rows.process:
            # The carrier is there: where that one dies we may try at once.
            self._failures, self._next_try_at = 0, 0.0
        self._changed.set()

    async def _until_free(self, shared: SharedTrunk) -> None:
        """Nobody else has it, and our next try is due."""
        loop = asyncio.get_running_loop()
        while True:
            await self._until(lambda: shared.rows.holder(shared.application).process in ("", shared.rows.process))
            left = self._next_try_at - loop.time()
            if left <= 0:
                return
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self._changed.clear()
            await self._changed.wait()
