"""Looks at the process that hosts our exchange, and tells it to end. Ask only where the exchange has proved that it's ours."""

from typing import Self

from sinchphone.errors import NetworkError, PlatformError, RemoteProtocolError
from sinchphone.exchange.options import HOST_PATH, STOP_PATH, HostKind
from sinchphone.local.probe import ExchangeProbe, HostAnswer
from sinchphone.local.signed_requests import ConflictError, SignedRequests
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What a process says that hosts. ``calls`` that aren't over, ``callers`` that only call, ``phones`` that wait."""

    kind: HostKind
    version: str
    pid: int
    seconds: int
    log: str | None
    calls: int
    callers: int
    phones: int

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        told = Record.parse(body)
        try:
            kind = HostKind(told.text("kind"))
        except ValueError as error:
            raise told.odd("kind", "a kind of process") from error
        counts = {name: int(told.number(name)) for name in ("pid", "seconds", "calls", "callers", "phones")}
        return cls(kind=kind, version=told.text("version"), log=told.optional_text("log"), **counts)


class InUseError(NetworkError):
    """The exchange doesn't end: somebody calls, or it isn't for us to end."""


@quick_dataclass(frozen=True, slots=True)
class HostControl:
    """Speaks with the exchange that ``probe`` found."""

    probe: ExchangeProbe

    async def report(self) -> HostReport:
        """How it is. Raises NetworkError and PlatformError."""
        try:
            return HostReport.parse(await self._requests.ask("GET", HOST_PATH))
        except RemoteProtocolError as error:
            raise PlatformError(f"the exchange's report can't be read: {error}") from error

    async def stop(self, answer: HostAnswer, *, unused: bool, replaced: bool = False) -> None:
        """Tell the process that gave ``answer`` to end, with ``unused`` only where nobody calls; ``replaced``: we listen on its port as
        soon as it's free. Raises InUseError where it goes on, NetworkError and PlatformError."""
        told = {"id": answer.host_id, "unused": unused, "replaced": replaced, "asker": self.probe.asker}
        try:
            await self._requests.ask("POST", STOP_PATH, told)
        except ConflictError as error:
            raise InUseError(f"the exchange goes on: {error}") from error

    @property
    def _requests(self) -> SignedRequests:
        return SignedRequests(self.probe.url, self.probe.credentials)
