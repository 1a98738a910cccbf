"""What a process that hosts the exchange is told, as JSON on its standard input, and what it answers in a line on its standard output."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Final, Self

from sinchphone.errors import ConfigError, MediaError, NetworkError, SinchphoneError
from sinchphone.exchange.options import ApplicationCredentials, ExchangeOptions
from sinchphone.gateway.options import BackendOptions, GatewayOptions, TrunkOptions
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import read_keys, write_keys

IDLE_SECONDS: Final = 30.0
LOG_NAME: Final = "exchange.log"

_ERRORS: Final[Mapping[str, type[SinchphoneError]]] = {one.__name__: one for one in (ConfigError, MediaError, NetworkError)}


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """Where and what to host, without SIP. ``folder`` has the application, unless another ``application`` is given, and, with ``keep``, the
    users and what waits for them. The process ends when nobody has used the exchange for ``idle_seconds``."""

    folder: Path
    exchange: ExchangeOptions = field(default_factory=ExchangeOptions)
    gateway: GatewayOptions = field(default_factory=GatewayOptions)
    keep: bool = True
    application: ApplicationCredentials | None = None
    idle_seconds: float = IDLE_SECONDS

    def without_listening(self) -> Self:
        """The same for a process that nobody asked for: phones, PBXs and the trunk call ``sinchphone exchange``, whose ports and
        registration it doesn't take."""
        trunk = replace(self.gateway.trunk, register=False) if self.gateway.trunk is not None else None
        return replace(self, gateway=replace(self.gateway, sip=None, trunk=trunk))

    def write(self) -> str:
        """As JSON."""
        given = self.application
        application = {"application": {"key": given.key, "secret": given.secret}} if given is not None else {}
        told = {**self._configuration(), **application, "folder": str(self.folder.absolute()), "idle_seconds": self.idle_seconds}
        return json.dumps(told)

    @classmethod
    def read(cls, text: str) -> Self:
        """From JSON. Raises ConfigError."""
        try:
            told = json.loads(text)
            gateway, application = told["gateway"], told.get("application")
            return cls(
                folder=Path(told["folder"]),
                exchange=read_keys(ExchangeOptions, told["exchange"]),
                gateway=GatewayOptions(
                    trunk=_optional(TrunkOptions, gateway["trunk"]),
                    backend=_optional(BackendOptions, gateway["backend"]),
                    dialplan=gateway["dialplan"],
                ),
                keep=told["keep"],
                application=ApplicationCredentials(application["key"], application["secret"]) if application else None,
                idle_seconds=told["idle_seconds"],
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"what the process in the background was told can't be read: {error}") from error

    def fingerprint(self, secret: bytes) -> str:
        """Tells settings apart, and says nothing about them to who doesn't know the application's secret."""
        text = json.dumps(["exchange settings", self._configuration()], sort_keys=True)
        return hmac.digest(secret, text.encode(), hashlib.sha256).hex()

    def _configuration(self) -> dict[str, Any]:
        gateway = self.gateway
        parts = {"trunk": gateway.trunk, "backend": gateway.backend}
        written = {name: write_keys(part) if part is not None else None for name, part in parts.items()}
        return {"exchange": write_keys(self.exchange), "gateway": {**written, "dialplan": dict(gateway.dialplan)}, "keep": self.keep}


def _optional(kind: type[Any], written: Mapping[str, object] | None) -> Any:
    return None if written is None else read_keys(kind, written)


@quick_dataclass(frozen=True, slots=True)
class Started:
    """The process hosts. ``log``: its file, where it could be opened."""

    pid: int
    log: str | None


def write_started(started: Started) -> str:
    """As a line of JSON."""
    return json.dumps({"pid": started.pid, "log": started.log}) + "\n"


def write_failure(error: SinchphoneError) -> str:
    """Why it doesn't host, as a line of JSON."""
    kinds = [name for name, kind in _ERRORS.items() if isinstance(error, kind)]
    return json.dumps({"error": str(error), "hint": error.hint, "kind": kinds[0] if kinds else ""}) + "\n"


def read_report(line: bytes) -> Started:
    """What the process answers. Raises ValueError where it's no answer, and the error that it tells of."""
    told = json.loads(line)
    if "error" in told:
        raise _ERRORS.get(told["kind"], NetworkError)(told["error"], hint=told["hint"])
    return Started(int(told["pid"]), told["log"])
