"""One user on one device at a platform, in either REST dialect: the instance, where it is kept, and the transports of its messages."""

import asyncio
import logging
from collections.abc import Sequence

from sinchphone.errors import ConfigError, LocalProtocolError
from sinchphone.signaling.dialect import Instance, MessageCounts, Recipient, Transport
from sinchphone.signaling.rest.instances import InstanceKey, InstanceStore, Slot, StoredInstance
from sinchphone.signaling.rest.requests import RestRequests
from sinchphone.signaling.rest.software import this_software
from sinchphone.signaling.rest.transports import TransportRequests

_log = logging.getLogger(__name__)


class RegisteredDevice:
    """What a dialect knows of itself; how an instance is made and prolonged, and how calls are placed, is the dialect's own."""

    def __init__(self, wire: RestRequests, key: InstanceKey, store: InstanceStore, capabilities: tuple[str, ...]) -> None:
        self._wire = wire
        self._messages = TransportRequests(wire)
        self._key = key
        self._store = store
        self._capabilities = capabilities
        self._software = this_software()
        self._slot: Slot | None = None
        self._stored: StoredInstance | None = None
        self._registering = asyncio.Lock()

    @property
    def now(self) -> float:
        """The platform's time, as far as it's known [s since the epoch]: what is signed for it carries that."""
        return self._wire.now

    async def open_transport(self, recipients: Sequence[Recipient]) -> Transport:
        """The transport from us to the recipients. Ocra itself has none: it's the older dialect's operation, where there is one."""
        return await self._messages.open_transport(self._instance, recipients)

    async def transport(self, transport_id: str) -> Transport:
        """A transport in which we take part."""
        return await self._messages.transport(self._instance, transport_id)

    async def report_messages(self, counts: MessageCounts) -> None:
        """Deliver counts of instant messages."""
        await self._messages.report_messages(self._instance, counts)

    async def close(self) -> None:
        """Let another process use the stored instance."""
        if self._slot is not None:
            self._slot.release()
        self._slot = self._stored = None

    @property
    def _instance(self) -> Instance:
        if self._stored is None:
            raise LocalProtocolError("this needs a registration first")
        return self._stored.instance

    async def _forget(self, slot: Slot, error: Exception) -> None:
        """The platform doesn't know the stored registration any more."""
        _log.info("the stored registration is no longer valid: %s", type(error).__name__)
        await asyncio.to_thread(slot.forget)

    async def _claim(self) -> tuple[Slot, StoredInstance | None]:
        """Where the instance is kept, and what is there."""
        if self._slot is None:
            self._slot = self._store.claim(self._key)
        return self._slot, self._stored or await asyncio.to_thread(self._slot.load)

    async def _keep(self, slot: Slot, stored: StoredInstance) -> None:
        """Remember the instance, on disk too; where that can't be done the next run registers anew."""
        self._stored = stored
        try:
            await asyncio.to_thread(slot.save, stored)
        except ConfigError as error:
            _log.warning("the registration isn't kept: %s", error)

    @property
    def _software_mark(self) -> str:
        return f"{self._software.application} {' '.join(self._capabilities)}"


def ignore(_: bytes) -> None:
    """For answers whose body doesn't matter."""
