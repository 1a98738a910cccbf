"""Keeps us registered with the trunk while the gateway runs, so that it calls us."""

import asyncio

from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_uri
from sinchphone.tasks import start_task


class TrunkRegistration:
    """Our registration with one trunk, in a task of its own."""

    def __init__(self, agent: SipAgent, trunk: Trunk) -> None:
        """Nothing is sent before ``start``. The trunk learns from where it was granted: its calls will come from there."""
        options = trunk.options
        self._registration = agent.registration(
            parse_uri(trunk.registrar),
            Credentials(options.username or "", options.password or ""),
            transport=options.transport,
            registered=lambda hop: trunk.learnt.add(hop.host),
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Register, now and again; never waits."""
        if self._task is None:
            self._task = start_task(self._registration.run(), name="registration with the trunk")

    async def close(self) -> None:
        """Withdraw, briefly, while there are still sockets. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            await self._registration.withdraw()
