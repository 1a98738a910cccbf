"""The only reader of configuration files and environment variables: what is in force, and where each value came from.

::

    flag  >  environment  >  ./sinchphone.toml  >  the user's config.toml  >  default
                             (in each file: [profiles.NAME] before the top level)

``--config FILE`` takes the place of both files. ``options.py`` lists every key there is. A project's file, which is found and
not chosen, may not say what is run or who gets the credentials: see ``Key.chosen_only``.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sinchphone.errors import ConfigError
from sinchphone.exchange.options import StoreAddress
from sinchphone.folders import config_folder
from sinchphone.options import KEYS, SECTIONS, Color, Options, Place
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import Key, WeightedAddress

PROJECT_FILE: Final = "sinchphone.toml"
MAX_CONFIG_BYTES: Final = 1_000_000
MAX_TABLE_DEPTH: Final = 16
MAX_NAME_CHARACTERS: Final = 80  # of a name that is shown
CONFIG_VARIABLE: Final = "SINCHPHONE_CONFIG"
_SECRET_KEYS: Final = (
    "application_secret",
    "secret",
    "token",
    "password",
    "sms.token",
    "trunk.password",
    "ice.credential",
    "exchange.ice_secret",
    "exchange.application_secret",
    "exchange.store_password",
)
_QUOTED: Final = (  # compiled when a file is read; each closed or open to the end: nothing is looked at twice
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)|' r"'''.*?(?:'''|\Z)|" r'"(?:\\.|[^"\\\n])*+"?|' r"'[^'\n]*+'?|#[^\n]*+"
)
_LONG_KEY: Final = rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{MAX_TABLE_DEPTH}}}"
_BRACKETS: Final = r"[][{}]"
_ILLEGAL_IN_USER_IDS: Final = r"[^A-Za-z0-9_=-]+"


class Setting(NamedTuple):
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
    if isinstance(value, StoreAddress):
        return value.shown
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{name}" = "{one}"' for name, one in value.items()) + " }" if value else "{}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):  # every number that isn't whole by its nature is a duration
        return f"{value:g}s"
    if not isinstance(value, tuple):
        return str(value) or "-"
    if value and all(isinstance(one, WeightedAddress) for one in value):
        return str(value[0]) if len(value) == 1 else "[" + ", ".join(f'"{one}"' for one in value) + "]"
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


def profile_names(file: Path | None = None) -> list[str]:
    """The profiles that can be chosen. Raises ConfigError."""
    return sorted(set(map(str, Place)).union(*(content.get("profiles", {}) for content in _read_files(config_files(file)).values())))


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
        _check_file(path, files[path], chosen=chosen or path != Path(PROJECT_FILE))
    return files


def _read_file(path: Path) -> dict[str, Any]:
    try:
        raw = _read_regular(path)
        if len(raw) > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes")
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
        return opened.read(MAX_CONFIG_BYTES + 1)


def check_depth(text: str) -> None:
    """Raises ValueError for keys of more parts, or lists and tables deeper, than any configuration has: reading them takes the square
    of their length, or all of the stack."""
    bare = re.sub(_QUOTED, "s", text, flags=re.DOTALL)
    if re.search(_LONG_KEY, bare):
        raise ValueError(f"a key has more than {MAX_TABLE_DEPTH} parts")
    depth = 0
    for bracket in re.findall(_BRACKETS, bare):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_TABLE_DEPTH:
            raise ValueError(f"lists and tables go deeper than {MAX_TABLE_DEPTH}")


def _check_file(path: Path, content: Mapping[str, Any], *, chosen: bool) -> None:
    profiles = content.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise ConfigError(f"{path}: profiles must be tables such as [profiles.work]")
    tables = {str(path): _top(content)} | {f"{path} [profiles.{name[:MAX_NAME_CHARACTERS]}]": table for name, table in profiles.items()}
    for place, table in tables.items():
        for name, value in _flatten(table).items():
            _check_key(place, name, chosen=chosen or (name in KEYS and value in KEYS[name].harmless))


def _top(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "profiles"}


def _check_key(place: str, name: str, *, chosen: bool) -> None:
    if name in _SECRET_KEYS:
        raise ConfigError(
            f'{place}: "{name}" must not be kept in a configuration file', hint="name a secret_command or a secret_file instead"
        )
    if name not in KEYS:
        shown = name[:MAX_NAME_CHARACTERS]
        nearest = _nearest(shown, KEYS)
        raise ConfigError(f'{place}: unknown key "{shown}"', hint=f'the nearest known key is "{nearest}"')
    if KEYS[name].chosen_only and not chosen:
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


def in_ci() -> bool:
    """Whether a build server runs us: no animation then, even on what looks like a terminal."""
    return os.environ.get("CI", "") not in ("", "0", "false")


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether even a command line that can't be read is to be answered in JSON."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options or bool(_in_any_case("json"))


def wants_no_color(arguments: Sequence[str]) -> bool:
    """Whether even a command line that can't be read is to be answered without colours."""
    named = [after for word, after in zip(arguments, [*arguments[1:], ""], strict=True) if word == "--color"]
    named += [word.removeprefix("--color=") for word in arguments if word.startswith("--color=")]
    return (named[-1] if named else _in_any_case("color")) == Color.NEVER


def _in_any_case(name: str) -> object:
    """An option's value, as far as the configuration can be read."""
    try:
        return getattr(load().options, name)
    except ConfigError:
        return None
