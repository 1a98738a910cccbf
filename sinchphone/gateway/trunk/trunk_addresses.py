"""Keeps up with which addresses the trunk's name means, so that its calls are known, and calls to it too by whatever name."""

import asyncio
from contextlib import suppress
from typing import Final

from sinchphone.errors import NetworkError
from sinchphone.gateway.sip.network.resolve import Resolver
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.tasks import start_task

REFRESH_SECONDS: Final = 300.0  # media_backends change addresses by DNS, with little notice
KNOWN_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 15.0  # where no name server said anything


class TrunkAddresses:
    """Asks DNS about one trunk, in a task of its own."""

    def __init__(self, trunk: Trunk, resolver: Resolver | None = None) -> None:
        """Nothing is asked before ``start``."""
        self._trunk = trunk
        self._resolver = resolver or Resolver(families=(4, 6))
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()

    def start(self) -> None:
        """Ask, now and again; never waits."""
        if self._task is None:
            self._task = start_task(self._run(), name="addresses of the trunk")

    async def known(self, seconds: float = KNOWN_SECONDS) -> bool:
        """Whether an address of the trunk is known; waits for the first answer of a name server, so long at most."""
        if not self._trunk.is_found:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._asked.wait()
        return self._trunk.is_found

    async def close(self) -> None:
        """Ask no more. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _run(self) -> None:
        while True:
            found = await self._ask(None) | await self._ask(self._trunk.options.port_in_use)
            if found:
                self._trunk.resolved = frozenset(found)
            self._asked.set()
            await asyncio.sleep(REFRESH_SECONDS if found else RETRY_SECONDS)

    async def _ask(self, port: int | None) -> set[str]:
        """The servers of its domain (SRV) where no port is given, else the addresses of the host itself; none where nobody says."""
        options = self._trunk.options
        try:
            hops = await self._resolver.resolve(options.host, port, options.transport)
        except NetworkError:
            return set()
        return {hop.host for hop in hops}
