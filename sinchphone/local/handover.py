"""The place of the exchange, for one that is wanted for itself (``sinchphone exchange``): whoever hosts beside something else leaves it."""

import asyncio
import time
from typing import TYPE_CHECKING, Final

from sinchphone.exchange.listening import PortTakenError, listen
from sinchphone.exchange.options import HostKind
from sinchphone.local.host_control import HostControl
from sinchphone.local.probe import ExchangeProbe, Found

if TYPE_CHECKING:
    import socket

_SECONDS: Final = 12.0  # for somebody who holds the port to answer, or to leave
_HANDOVER_PAUSE_SECONDS: Final = 0.02


async def claim(probe: ExchangeProbe) -> "list[socket.socket]":
    """Sockets that listen where ``probe`` looks. An exchange of ours in the background, or beside a program, is told to leave; where
    somebody calls there it doesn't: InUseError. Raises PortTakenError for anybody else who listens there, NetworkError, PlatformError."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return await asyncio.to_thread(listen, probe.host, probe.port)
        except PortTakenError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            taken = error
        answer = await probe.ask(left)
        if answer.found not in (Found.OURS, Found.NOBODY, Found.SILENT):
            raise taken
        if answer.found is Found.OURS:
            if answer.kind is HostKind.FOREGROUND:
                raise PortTakenError(
                    f"your exchange runs already on {probe.host}:{probe.port}", hint="use it, stop it, or choose another port for this one"
                ) from taken
            await HostControl(probe).stop(answer, unused=True, replaced=True)
        await asyncio.sleep(_HANDOVER_PAUSE_SECONDS)
