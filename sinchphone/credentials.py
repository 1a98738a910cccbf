"""Where secrets, passwords and tokens come from: a command, the system's keyring, a file for its owner's eyes only, the environment."""

import importlib
import os
import re
import shlex
import stat
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sinchphone.errors import ConfigError
from sinchphone.exchange.options import ApplicationCredentials, ExchangeOptions, StoreAddress
from sinchphone.gateway.options import GatewayOptions, SipSettings, TrunkOptions
from sinchphone.options import ExchangeSection, Options, narrowed
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.media.ice_servers import IceServer

MAX_SECRET_BYTES: Final = 4_096
SECRET_COMMAND_SECONDS: Final = 60.0  # long enough to type a passphrase
SECRET_VARIABLE: Final = "SINCH_APPLICATION_SECRET"  # noqa: S105 - a name
MAX_PHONES: Final = 1_000
_PHONE: Final = r"([A-Za-z0-9_=.-]{1,255}):([!-~](?:[ -~]{0,126}[!-~])?)"
MAX_PHONES_FILE_BYTES: Final = 1_000_000

Read = TypeVar("Read")


@quick_dataclass(frozen=True, slots=True)
class Secret:
    """The application's secret (base64) and where it came from."""

    value: str = field(repr=False)
    source: str


def read_secret(options: Options, environ: Mapping[str, str] = os.environ) -> Secret | None:
    """The application's secret: from secret_command, the keyring, secret_file or the environment. Raises ConfigError."""
    if options.secret_command:
        return Secret(_run_secret_command(options.secret_command, "secret_command"), "secret_command")
    stored = _keyring_secret(options.application_key)
    if stored:
        return Secret(stored, "keyring")
    if options.secret_file:
        return Secret(_read_secret_file(options.secret_file, "secret_file"), "secret_file")
    value = environ.get(SECRET_VARIABLE)
    return Secret(value, SECRET_VARIABLE) if value else None


def read_password(options: Options) -> str | None:
    """The user's password: from password_command or the environment. Raises ConfigError."""
    if options.password_command:
        return _run_secret_command(options.password_command, "password_command")
    return options.password


def read_sms_token(options: Options) -> str | None:
    """The API token of the SMS API's service plan: from sms.token_command, sms.token_file or the environment. Raises ConfigError."""
    sms = options.sms
    return _secret_of("sms.token", sms.token_command, sms.token_file) or sms.token


def read_trunk_password(options: Options) -> str | None:
    """The trunk's password: from trunk.password_command, trunk.password_file or the environment. Raises ConfigError."""
    trunk = options.trunk
    return _secret_of("trunk.password", trunk.password_command, trunk.password_file) or trunk.password


def read_ice_servers(options: Options) -> "tuple[IceServer, ...]":
    """The STUN and TURN servers of [ice], with their password from ice.credential_command, ice.credential_file or the environment. Raises
    ConfigError."""
    from sinchphone.media.ice_servers import IceServer

    ice = options.ice
    if not ice.servers:
        return ()
    credential = _secret_of("ice.credential", ice.credential_command, ice.credential_file) or ice.credential
    if (ice.username is None) != (credential is None):
        lacking = "password" if credential is None else "user name"
        raise ConfigError(f"the ICE servers have no {lacking}", hint="ice.username, and ice.credential_file or SINCHPHONE_ICE_CREDENTIAL")
    return (IceServer(urls=ice.servers, username=ice.username, credential=credential),)


def read_local_application(options: Options) -> ApplicationCredentials | None:
    """The pair that the local application was given: exchange.application_key with its secret from exchange.application_secret_file or the
    environment. None where it has the one that is made at first use. Raises ConfigError."""
    section = options.exchange
    given = _secret_of("exchange.application_secret", None, section.application_secret_file) or section.application_secret
    if section.application_key is None and given is None:
        return None
    if section.application_key is None or given is None:
        lacking = "key" if section.application_key is None else "secret"
        hint = "exchange.application_key or SINCHPHONE_EXCHANGE_KEY, with exchange.application_secret_file or SINCHPHONE_EXCHANGE_SECRET"
        raise ConfigError(f"the local application that was given has no {lacking}", hint=hint)
    from sinchphone.protocol.auth import decode_secret

    decode_secret(given)
    return ApplicationCredentials(section.application_key, given)


def read_exchange(options: Options, **more: Any) -> ExchangeOptions:
    """What the embedded exchange is told, with ``more`` that no key holds. Reads the secret of its TURN servers and the password of its
    store. Raises ConfigError."""
    section = options.exchange
    secret = _secret_of("exchange.ice_secret", section.ice_secret_command, section.ice_secret_file) or section.ice_secret
    if section.ice_username is not None and secret is None:
        raise ConfigError("exchange.ice_username has no password", hint="exchange.ice_secret_file or SINCHPHONE_ICE_SECRET")
    store = more.pop("store", section.store)
    known = read_store_address(section, store) if isinstance(store, StoreAddress) else store
    return narrowed(ExchangeOptions, section, ice_secret=secret, store=known, conference=options.conference, **more)


def read_store_address(section: ExchangeSection, store: StoreAddress) -> StoreAddress:
    """A store's address with its password from exchange.store_password_command or exchange.store_password_file, and with whom it trusts.
    Raises ConfigError."""
    if section.store_ca_file is not None and not store.has_tls:
        raise ConfigError("exchange.store_ca_file is for TLS, and the store isn't reached so", hint="write rediss://host:port/database")
    password = _secret_of("exchange.store_password", section.store_password_command, section.store_password_file)
    trusting = StoreAddress(store, section.store_ca_file)
    return trusting if password is None else trusting.with_password(password)


def _secret_of(name: str, command: str | None, file: Path | None) -> str | None:
    if command:
        return _run_secret_command(command, f"{name}_command")
    return _read_secret_file(file, f"{name}_file") if file else None


def read_gateway(options: Options) -> GatewayOptions:
    """What the exchange's gateway is told. Reads the trunk's password and the file of phones. Raises ConfigError."""
    sip, trunk, backend = options.sip, options.trunk, options.backend
    if trunk.host and trunk.register and not sip.enabled:
        raise ConfigError("a trunk that registers calls back, but [sip] isn't enabled", hint="enabled = true in [sip]")
    phones = read_phones(sip.users_file) if sip.enabled and sip.users_file else {}
    read = GatewayOptions(
        sip=narrowed(SipSettings, sip, users=phones) if sip.enabled else None,
        trunk=narrowed(TrunkOptions, trunk, password=read_trunk_password(options)) if trunk.host else None,
        dialplan=options.dialplan,
        backend=backend if backend.url else None,
    )
    if read.dialplan or trunk.numbers:
        from sinchphone.gateway.routing.rules import read_rules

        read_rules(read)
    return read


def read_phones(file: Path) -> dict[str, str]:
    """The passwords of SIP phones by user, from lines ``NAME:PASSWORD``; what begins with # doesn't count. Raises ConfigError."""
    phones: dict[str, str] = {}
    for number, line in enumerate(
        _read_private(file, "sip.users_file", MAX_PHONES_FILE_BYTES).decode("utf-8-sig", errors="replace").splitlines(), start=1
    ):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        match = re.fullmatch(_PHONE, written)
        if match is None or match[1] in phones or len(phones) >= MAX_PHONES:
            raise ConfigError(f"sip.users_file {file}, line {number}: not a new NAME:PASSWORD", hint="one line for each phone, in ASCII")
        phones[match[1]] = match[2]
    return phones


def secret_source(options: Options) -> str | None:
    """Where the secret would come from, without running a command for it."""
    if options.secret_command:
        return "secret_command"
    secret = read_secret(options)
    return secret.source if secret else None


async def read_beside(read: Callable[[], Read]) -> Read:
    """What a function returns that may run a command of the configuration, which may take as long as somebody types a passphrase: in a
    thread, so that signals and everything else go on. Cancelling it kills the command, also one that is just being started, and doesn't
    wait for what else the function does."""
    import asyncio

    loop, commands = asyncio.get_running_loop(), _Commands()
    found: asyncio.Future[Read] = loop.create_future()

    def tell(done: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it who waited
            loop.call_soon_threadsafe(lambda: None if found.done() else done())

    def work() -> None:
        _commands.set(commands)  # of this thread alone
        try:
            result = read()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            tell(partial(found.set_exception, error))
        else:
            tell(partial(found.set_result, result))

    threading.Thread(target=work, name="secrets", daemon=True).start()
    try:
        return await found
    except asyncio.CancelledError:
        commands.cancel()
        raise


class _Commands:
    """The commands that one reading runs, one after the other, until it is cancelled in another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._is_cancelled = False

    def start(self, command: str) -> "subprocess.Popen[bytes]":
        """Raises OSError, ValueError and IndexError where there's no such program, SubprocessError where nobody waits for it any more."""
        with self._lock:
            if self._is_cancelled:
                raise subprocess.SubprocessError
            self._running = subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE)  # noqa: S603 - the user's own
            return self._running

    def cancel(self) -> None:
        """Kill what runs, and start nothing more."""
        with self._lock:
            self._is_cancelled = True
            if self._running is not None:
                self._running.kill()


_commands: Final[ContextVar[_Commands]] = ContextVar("_commands")


def _run_secret_command(command: str, name: str) -> str:
    try:
        with _commands.get(_Commands()).start(command) as running:
            try:
                output, _ = running.communicate(timeout=SECRET_COMMAND_SECONDS)
            finally:
                running.kill()
        if running.returncode:
            raise subprocess.CalledProcessError(running.returncode, command)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{name} failed", hint=f"try it yourself: {command}") from error
    return _one_line(output, name)


def _keyring_secret(application_key: str | None) -> str | None:
    """What the operating system's keyring holds for service "sinchphone" and the application's key."""
    if application_key is None:
        return None
    try:
        keyring, errors = importlib.import_module("keyring"), importlib.import_module("keyring.errors")
    except ImportError:  # an optional dependency
        return None
    try:
        stored = keyring.get_password("sinchphone", application_key)
        return str(stored) if stored else None
    except errors.NoKeyringError:
        return None
    except errors.KeyringError as error:
        raise ConfigError("the keyring can't be read", hint="unlock it, or name a secret_file") from error


def _read_secret_file(path: Path, name: str) -> str:
    return _one_line(_read_private(path, name, MAX_SECRET_BYTES), f"{name} {path}")


def _read_private(path: Path, name: str, limit: int) -> bytes:
    """At most ``limit`` bytes of a file that nobody else may read. Raises ConfigError."""
    try:
        with path.open("rb") as opened:
            seen = os.fstat(opened.fileno())
            if os.name == "posix" and (stat.S_IMODE(seen.st_mode) & 0o077 or seen.st_uid != os.getuid()):
                raise ConfigError(f"{name} {path} can be read by others", hint=f"chown it to yourself and: chmod 600 {path}")
            return opened.read(limit)
    except OSError as error:
        raise ConfigError(f"{name} {path} can't be read: {error.strerror}") from error


def _one_line(raw: bytes, source: str) -> str:
    lines = raw[:MAX_SECRET_BYTES].decode("utf-8-sig", errors="replace").strip().splitlines()
    if len(lines) != 1 or not lines[0].isascii():
        raise ConfigError(f"{source} must give one line, the secret")
    return lines[0].strip()
