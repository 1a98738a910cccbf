"""The only reader of configuration files and environment variables: what is in force, and where each value came from.

::

    flag  >  environment  >  ./sinchphone.toml  >  the user's config.toml  >  default
                             (in each file: [profiles.NAME] before the top level)

``--config FILE`` takes the place of both files. ``options.py`` lists every key there is. A project's file, which is found and
not chosen, may not say what is run or who gets the credentials: see ``Key.trusted_only``.
"""

import importlib
import os
import re
import shlex
import stat
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sinchphone.errors import ConfigError
from sinchphone.folders import config_folder
from sinchphone.gateway.options import GatewayOptions, SipSettings, TrunkOptions
from sinchphone.options import KEYS, SECTIONS, Color, Options, Place, narrowed
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import Key

PROJECT_FILE: Final = "sinchphone.toml"
MAX_FILE_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 16
MAX_NAME_CHARACTERS: Final = 80  # of a name that is shown
MAX_SECRET_BYTES: Final = 4_096
SECRET_COMMAND_SECONDS: Final = 60.0  # long enough to type a passphrase
SECRET_VARIABLE: Final = "SINCH_APPLICATION_SECRET"  # noqa: S105 - a name
CONFIG_VARIABLE: Final = "SINCHPHONE_CONFIG"
MAX_PHONES: Final = 1_000
_SECRET_KEYS: Final = ("application_secret", "secret", "token", "password", "sms.token", "trunk.password")
_QUOTED: Final = (  # compiled when a file is read; each closed or open to the end: nothing is looked at twice
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)|' r"'''.*?(?:'''|\Z)|" r'"(?:\\.|[^"\\\n])*+"?|' r"'[^'\n]*+'?|#[^\n]*+"
)
_LONG_KEY: Final = rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}"
_BRACKETS: Final = r"[][{}]"
_PHONE: Final = r"([A-Za-z0-9_=.-]{1,255}):([!-~](?:[ -~]{0,126}[!-~])?)"
_ILLEGAL_IN_USER_IDS: Final = r"[^A-Za-z0-9_=-]+"

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in force."""

    key: Key
    value: Any
    source: str

    @property
    def shown(self) -> str:
        """The value for people's eyes."""
        if self.value is None:
            return "-"
        return "***" if self.key.secret else _shown(self.value)


@quick_dataclass(frozen=True, slots=True)
class Configuration:
    """What is in force, after all layers."""

    settings: tuple[Setting, ...]
    files: tuple[Path, ...]  # that were read, first one first

    @property
    def options(self) -> Options:
        """The values alone."""
        values = {setting.key.name: setting.value for setting in self.settings}
        top = {name: value for name, value in values.items() if "." not in name}
        sections = {name: section(**_section(values, name)) for name, section in SECTIONS.items()}
        return Options(**top, **sections)

    def source(self, name: str) -> str:
        """Where the value of the key ``name`` came from."""
        return next(setting.source for setting in self.settings if setting.key.name == name)


def _shown(value: object) -> str:
    """As TOML would have it, but without quotes around a single text."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{name}" = "{one}"' for name, one in value.items()) + " }" if value else "{}"
    if not isinstance(value, tuple):
        return str(value)
    if any(isinstance(one, int) for one in value):  # an address with its port, a range of ports
        return ("-" if isinstance(value[0], int) else ":").join(map(str, value))
    return "[" + ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in value) + "]"


def _section(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}


@quick_dataclass(frozen=True, slots=True)
class _Layer:
    """Raw values of one place, by dotted name."""

    values: Mapping[str, object]
    source: Callable[[Key], str]


def user_file() -> Path:
    """The user's own configuration file."""
    return config_folder() / "config.toml"


def config_files(explicit: Path | None = None, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The files that count, first one first, whether they exist or not."""
    chosen = explicit or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    return (chosen.expanduser(),) if chosen else (Path(PROJECT_FILE), user_file())


def load(flags: Mapping[str, object] | None = None, *, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> Configuration:
    """Everything in force. ``flags``: values by dotted key, ``None`` where one isn't given. Raises ConfigError."""
    given = _Layer({name: value for name, value in (flags or {}).items() if value is not None}, lambda key: key.flag)
    layers = [given, _environment_layer(environ)]
    files = _read_files(config_files(file, environ))
    profile = _chosen_profile(layers, list(files.values()))
    if profile in list(Place):
        layers.append(_Layer({"environment": profile}, lambda key: f"profile {profile}"))
    for path, content in files.items():
        layers += _file_layers(path, content, profile)
    settings = tuple(_in_force(key, layers) for key in KEYS.values())
    return Configuration(_fill_in(settings), tuple(files))


def profile_names(file: Path | None = None, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The profiles that can be chosen. Raises ConfigError."""
    return sorted(
        set(map(str, Place)).union(*(content.get("profiles", {}) for content in _read_files(config_files(file, environ)).values()))
    )


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    values: dict[str, object] = {key.name: environ[key.variable] for key in KEYS.values() if key.variable and environ.get(key.variable)}
    variables = {key.name: key.variable or "" for key in KEYS.values()}
    for variable, color in (("NO_COLOR", Color.NEVER), ("FORCE_COLOR", Color.ALWAYS)):
        if environ.get(variable):
            values["color"], variables["color"] = color, variable
            break
    else:
        if environ.get("TERM") == "dumb":
            values["color"], variables["color"] = Color.NEVER, "TERM"
    return _Layer(values, lambda key: variables[key.name])


def _read_files(paths: tuple[Path, ...]) -> dict[Path, dict[str, Any]]:
    """The contents of those files that are there; one that was chosen has to be."""
    chosen = len(paths) == 1
    files = {}
    for path in paths:
        try:
            files[path] = _read_file(path)
        except FileNotFoundError as error:
            if chosen:
                raise ConfigError(f"there is no configuration file {path}") from error
            continue
        _check_file(path, files[path], trusted=chosen or path != Path(PROJECT_FILE))
    return files


def _read_file(path: Path) -> dict[str, Any]:
    try:
        raw = _read_regular(path)
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        text = raw.decode("utf-8-sig")  # editors on Windows put a mark in front
        check_depth(text)
        import tomllib

        return tomllib.loads(text)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {str(error)[:200]}") from error


def _read_regular(path: Path) -> bytes:
    """The beginning of a file, a little more than a file may have. A pipe or a device is none: it may have no end, or never begin."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) and path != Path(os.devnull):
            raise ConfigError(f"{path} is not a regular file", hint="a configuration is a plain file")
        return opened.read(MAX_FILE_BYTES + 1)


def check_depth(text: str) -> None:
    """Raises ValueError for keys of more parts, or lists and tables deeper, than any configuration has: reading them takes the square
    of their length, or all of the stack."""
    bare = re.sub(_QUOTED, "s", text, flags=re.DOTALL)
    if re.search(_LONG_KEY, bare):
        raise ValueError(f"a key has more than {MAX_DEPTH} parts")
    depth = 0
    for bracket in re.findall(_BRACKETS, bare):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"lists and tables go deeper than {MAX_DEPTH}")


def _check_file(path: Path, content: Mapping[str, Any], *, trusted: bool) -> None:
    profiles = content.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise ConfigError(f"{path}: profiles must be tables such as [profiles.work]")
    tables = {str(path): _top(content)} | {f"{path} [profiles.{name[:MAX_NAME_CHARACTERS]}]": table for name, table in profiles.items()}
    for place, table in tables.items():
        for name, value in _flatten(table).items():
            _check_key(place, name, trusted=trusted or (name in KEYS and value in KEYS[name].harmless))


def _top(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "profiles"}


def _check_key(place: str, name: str, *, trusted: bool) -> None:
    if name in _SECRET_KEYS:
        raise ConfigError(
            f'{place}: "{name}" must not be kept in a configuration file', hint="name a secret_command or a secret_file instead"
        )
    if name not in KEYS:
        shown = name[:MAX_NAME_CHARACTERS]
        nearest = _nearest(shown, KEYS)
        raise ConfigError(f'{place}: unknown key "{shown}"', hint=f'the nearest known key is "{nearest}"')
    if KEYS[name].trusted_only and not trusted:
        raise ConfigError(
            f'{place}: "{name}" is not taken from a file that just lies in the folder',
            hint=f"put it into {user_file()}, or trust the file by naming it: --config {PROJECT_FILE}",
        )


def _flatten(table: Mapping[str, Any]) -> dict[str, object]:
    """Dotted names; only the sections that exist are opened, so that an unknown table is named as such."""
    sections = {name.partition(".")[0] for name in KEYS if "." in name}
    flat: dict[str, object] = {}
    for name, value in table.items():
        if name in sections and isinstance(value, dict):
            flat |= {f"{name}.{inner}": one for inner, one in value.items()}
        else:
            flat[name] = value
    return flat


def _chosen_profile(layers: list[_Layer], files: list[dict[str, Any]]) -> str | None:
    named = [places.get("profile") for places in [*(layer.values for layer in layers), *files]]
    profile = next((str(name) for name in named if name), None)
    known = sorted(set(map(str, Place)).union(*(content.get("profiles", {}) for content in files)))
    if profile is not None and profile not in known:
        nearest = _nearest(profile, known)
        raise ConfigError(f'there is no profile "{profile[:MAX_NAME_CHARACTERS]}"', hint=f'the nearest known profile is "{nearest}"')
    return profile


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib

    return difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]


def _file_layers(path: Path, content: dict[str, Any], profile: str | None) -> list[_Layer]:
    layers = [_Layer(_flatten(_top(content)), lambda key: str(path))]
    profiles = content.get("profiles", {})
    if profile in profiles:
        layers.insert(0, _Layer(_flatten(profiles[profile]), lambda key: f"{path} [profiles.{profile}]"))
    return layers


def _in_force(key: Key, layers: list[_Layer]) -> Setting:
    for layer in layers:
        raw = layer.values.get(key.name, "")
        if raw == "":
            continue
        try:
            return Setting(key, key.read(raw), layer.source(key))
        except ValueError as error:
            raise ConfigError(f"{layer.source(key)}: {key.name} {error}") from error
    return Setting(key, key.default, "default")


def _fill_in(settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    """The two defaults that depend on other values: the environment on the application's key, the user on the environment."""
    known = {setting.key.name: setting for setting in settings}
    if known["environment"].source == "default" and known["application_key"].value:
        known["environment"] = Setting(KEYS["environment"], Place.CLOUD, "an application_key is set")
    if known["user"].value is None and known["environment"].value is Place.LOCAL:
        known["user"] = Setting(KEYS["user"], login_name(), "login name")
    return tuple(known.values())


def login_name() -> str:
    """The login name, as far as it makes a legal user id."""
    import getpass

    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in this container; which one depends on the version
        name = ""
    return re.sub(_ILLEGAL_IN_USER_IDS, "-", name)[:255].strip("-") or "me"


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
        _read_private(file, "sip.users_file", MAX_FILE_BYTES).decode("utf-8-sig", errors="replace").splitlines(), start=1
    ):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        match = re.fullmatch(_PHONE, written)
        if match is None or match[1] in phones or len(phones) >= MAX_PHONES:
            raise ConfigError(f"sip.users_file {file}, line {number}: not a new NAME:PASSWORD", hint="one line for each phone, in ASCII")
        phones[match[1]] = match[2]
    return phones


def secret_source(options: Options, environ: Mapping[str, str] = os.environ) -> str | None:
    """Where the secret would come from, without running a command for it."""
    if options.secret_command:
        return "secret_command"
    secret = read_secret(options, environ)
    return secret.source if secret else None


async def read_beside(read: Callable[[], Read]) -> Read:
    """What a function returns that may run a command of the configuration, which may take as long as somebody types a passphrase: in a
    thread, so that signals and everything else go on. Cancelling it kills the command and doesn't wait."""
    import asyncio

    loop = asyncio.get_running_loop()
    found: asyncio.Future[Read] = loop.create_future()

    def tell(done: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it who waited
            loop.call_soon_threadsafe(lambda: None if found.done() else done())

    def work() -> None:
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
        for command in tuple(_running):
            command.kill()
        raise


_running: Final[set["subprocess.Popen[bytes]"]] = set()


def _run_secret_command(command: str, name: str) -> str:
    try:
        with subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE) as running:  # noqa: S603 - the user's own
            _running.add(running)
            try:
                output, _ = running.communicate(timeout=SECRET_COMMAND_SECONDS)
            finally:
                _running.discard(running)
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


def in_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a build server runs us: no animation then, even on what looks like a terminal."""
    return environ.get("CI", "") not in ("", "0", "false")


def wants_json(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> bool:
    """Whether even a command line that can't be read is to be answered in JSON."""
    if "--json" in arguments:
        return True
    try:
        return load(environ=environ).options.json
    except ConfigError:
        return False
