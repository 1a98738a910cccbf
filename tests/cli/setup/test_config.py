import contextlib
import os
import re
import sys
import tomllib
import types
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone import config, credentials
from sinchphone.config import load, login_name, user_file
from sinchphone.credentials import read_gateway, read_secret, secret_source
from sinchphone.errors import ConfigError
from sinchphone.exchange import options as exchange_options
from sinchphone.gateway.options import BackendOptions, GatewayOptions, SipSettings
from sinchphone.options import KEYS, Options, example
from sinchphone.schema import WeightedAddress, parse_duration

ROOT = Path(__file__).parents[3]


def write_user_file(text: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


def write_project_file(text: str) -> None:
    Path("sinchphone.toml").write_text(text)


def test_nothing_configured_is_the_local_environment_of_the_login_name() -> None:
    options = load(environ={}).options
    assert (options.environment, options.user) == ("local", login_name())
    assert options.audio == Options().audio
    assert options.exchange == Options().exchange


def test_a_flag_beats_the_environment_which_beats_the_project_which_beats_the_user_file() -> None:
    environ = {"SINCH_USER_ID": "from-environment"}
    layers = [
        ({"user": "from-flag"}, "from-flag", "--user"),
        ({}, "from-environment", "SINCH_USER_ID"),
    ]
    write_user_file('user = "from-user-file"')
    assert load(environ={}).options.user == "from-user-file"
    write_project_file('user = "from-project"')
    assert load(environ={}).options.user == "from-project"
    assert load(environ={}).source("user") == "sinchphone.toml"
    for flags, value, source in layers:
        configuration = load(flags, environ=environ)
        assert (configuration.options.user, configuration.source("user")) == (value, source)


def test_every_variable_of_the_environment_is_read() -> None:
    environ = {
        "SINCH_APPLICATION_KEY": "key",
        "SINCH_USER_ID": "ada",
        "SINCHPHONE_PROFILE": "cloud",
        "SINCHPHONE_CALLER_ID": "+14155550123",
        "SINCHPHONE_HOST": "ocra.example.org",
        "SINCHPHONE_TOKEN": "a.b.c",
        "SINCHPHONE_TOKEN_URL": "https://example.org/token",
        "SINCHPHONE_JSON": "1",
    }
    options = load(environ=environ).options
    assert (options.application_key, options.user, options.profile, options.environment) == ("key", "ada", "cloud", "cloud")
    assert (options.caller_id, options.host, options.token) == ("+14155550123", "ocra.example.org", "a.b.c")
    assert (options.token_url, options.json) == ("https://example.org/token", True)


def test_an_application_key_means_the_cloud_unless_somebody_says_local() -> None:
    environ = {"SINCH_APPLICATION_KEY": "key"}
    assert load(environ=environ).options.environment == "cloud"
    assert load({"profile": "local"}, environ=environ).options.environment == "local"


def test_a_profile_overrides_the_top_level_of_its_file() -> None:
    write_user_file(
        'user = "ada"\ncaller_id = "+14155550100"\n[profiles.work]\nuser = "ada-at-work"\n[profiles.work.exchange]\nport = 4700'
    )
    assert load(environ={}).options.user == "ada"
    work = load({"profile": "work"}, environ={})
    assert (work.options.user, work.options.caller_id, work.options.exchange.port) == ("ada-at-work", "+14155550100", 4700)
    assert "[profiles.work]" in work.source("user")


def test_a_file_can_choose_its_profile() -> None:
    write_user_file('profile = "work"\n[profiles.work]\nuser = "ada-at-work"')
    assert load(environ={}).options.user == "ada-at-work"


def test_an_unknown_profile_names_the_nearest_known_one() -> None:
    write_user_file("[profiles.work]\n")
    with pytest.raises(ConfigError) as refused:
        load({"profile": "wrok"}, environ={})
    assert '"work"' in refused.value.hint


@pytest.mark.parametrize(
    ("text", "nearest"),
    [('usr = "x"', "user"), ("[audio]\ninptu = 1", "audio.input"), ("ring_timout = 1", "ring_timeout"), ("[profiles.x]\nusr = 1", "user")],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest_known_key(text: str, nearest: str) -> None:
    write_user_file(text)
    with pytest.raises(ConfigError, match="unknown key") as refused:
        load(environ={})
    assert f'"{nearest}"' in refused.value.hint


@pytest.mark.parametrize(
    "text", ["user = 1", "[exchange]\nport = 70000", 'environment = "moon"', 'ring_timeout = "soon"', "profiles = 1", "user = ", "\xff"]
)
def test_what_cannot_be_used_is_an_error_that_names_the_file(text: str) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=re.escape(str(user_file()))):
        load(environ={})


def test_a_named_file_takes_the_place_of_both(tmp_path: Path) -> None:
    write_user_file('user = "ada"')
    write_project_file('user = "project"')
    named = tmp_path / "named.toml"
    named.write_text('caller_id = "+14155550100"\nhost = "example.org"')
    options = load(file=named, environ={}).options
    assert (options.user, options.caller_id, options.host) == (login_name(), "+14155550100", "example.org")
    with pytest.raises(ConfigError, match="no configuration file"):
        load(file=tmp_path / "missing.toml", environ={})


@pytest.mark.parametrize("key", ["secret_command", "host", "token_url", "secret_file", "state_dir"])
def test_attack_a_folder_with_a_project_file_cannot_run_commands_or_redirect_credentials(key: str) -> None:
    write_project_file(f'{key} = "evil.example.org"')
    with pytest.raises(ConfigError, match="just lies in the folder"):
        load(environ={})
    write_project_file(f'[profiles.local]\n{key} = "evil.example.org"')
    with pytest.raises(ConfigError, match="just lies in the folder"):
        load(environ={})


@pytest.mark.parametrize(
    "text",
    [
        '[trunk]\nhost = "evil.example.org"',
        '[trunk]\nallow = ["+"]',
        '[trunk]\npassword_command = "evil"',
        '[trunk.numbers]\n"+46101234567" = "user:eve"',
        '[sip]\nhost = "0.0.0.0"',
        '[sip]\ntrusted = ["0.0.0.0/0"]',
        '[sip]\nusers_file = "users"',
        '[sip]\nrtpengine = "evil.example.org:2223"',
        '[backend]\nurl = "https://evil.example.org/"',
        '[dialplan]\n"*" = "sip:eve@evil.example.org"',
    ],
)
def test_attack_a_project_file_cannot_redirect_calls_or_open_the_gateway(text: str) -> None:
    write_project_file(text)
    with pytest.raises(ConfigError, match="just lies in the folder"):
        load(environ={})


@pytest.mark.parametrize("key", ["application_secret", "token"])
def test_secrets_are_not_taken_from_configuration_files(key: str) -> None:
    write_user_file(f'{key} = "x"')
    with pytest.raises(ConfigError, match="must not be kept"):
        load(environ={})


def test_a_host_with_a_password_in_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="password"):
        load(environ={"SINCHPHONE_HOST": "https://ada:secret@example.org"})


def test_the_secret_comes_from_a_command_then_a_file_then_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_keyring_secret", lambda key: None)
    file = tmp_path / "secret"
    file.write_text("from-file\n")
    file.chmod(0o600)
    environ = {"SINCH_APPLICATION_SECRET": "from-environment"}
    command = Options(application_key="key", secret_command="echo from-command", secret_file=file)
    for options, value in [(command, "from-command"), (Options(secret_file=file), "from-file"), (Options(), "from-environment")]:
        secret = read_secret(options, environ)
        assert secret is not None
        assert secret.value == value
        assert value not in repr(secret)
    assert read_secret(Options(), {}) is None


def test_the_keyring_comes_after_the_command_and_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_keyring_secret", lambda key: "from-keyring")
    assert secret_source(Options(secret_file=Path("/nowhere"))) == "keyring"
    assert secret_source(Options(secret_command="false")) == "secret_command"


def fake_keyring(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, str], str | None]) -> type[Exception]:
    """An installed keyring that answers so; the error that it raises where it has no backend."""
    keyring, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]
    errors.NoKeyringError = type("NoKeyringError", (errors.KeyringError,), {})  # type: ignore[attr-defined]
    keyring.get_password = answer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return errors.NoKeyringError  # type: ignore[no-any-return]


def test_the_keyring_keeps_a_secret_for_each_application_key(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_keyring(monkeypatch, lambda service, name: {("sinchphone", "key"): "from-keyring"}.get((service, name)))
    found = read_secret(Options(application_key="key"), {})
    assert found == credentials.Secret("from-keyring", "keyring")
    assert read_secret(Options(application_key="other"), {}) is None
    assert read_secret(Options(), {}) is None


def test_a_machine_without_a_keyring_goes_on_and_a_locked_one_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Exception] = []

    def refuse(service: str, name: str) -> None:
        raise raised[-1]

    missing = fake_keyring(monkeypatch, refuse)
    raised.append(missing())
    assert read_secret(Options(application_key="key"), {}) is None
    raised.append(missing.__bases__[0]())
    with pytest.raises(ConfigError, match="keyring"):
        read_secret(Options(application_key="key"), {})


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o610])
def test_a_secret_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "secret"
    file.write_text("secret")
    file.chmod(mode)
    with pytest.raises(ConfigError, match="read by others") as refused:
        read_secret(Options(secret_file=file), {})
    assert "chmod 600" in refused.value.hint


@pytest.mark.parametrize("command", ["false", "/no/such/program", "printf 'a\\nb'", "'"])
def test_a_secret_command_that_fails_is_an_error_without_its_output(command: str) -> None:
    with pytest.raises(ConfigError, match="secret_command"):
        read_secret(Options(secret_command=command), {})


def test_secrets_are_shown_as_stars() -> None:
    configuration = load(environ={"SINCHPHONE_TOKEN": "very.secret.token"})
    shown = {setting.key.name: setting.shown for setting in configuration.settings}
    assert shown["token"] == "***"
    assert "very.secret" not in repr(configuration.options)


@pytest.mark.parametrize(
    ("environ", "color"),
    [({"NO_COLOR": "1"}, "never"), ({"FORCE_COLOR": "1"}, "always"), ({"TERM": "dumb"}, "never"), ({"NO_COLOR": ""}, "auto"), ({}, "auto")],
)
def test_colours_follow_the_usual_variables(environ: dict[str, str], color: str) -> None:
    assert load(environ=environ).options.color == color
    assert load({"color": "always"}, environ=environ).options.color == "always"


def test_the_example_file_is_the_one_that_init_writes() -> None:
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == example()


def test_the_example_file_names_every_key_with_its_default() -> None:
    assert tomllib.loads(example()) == {
        "audio": {},
        "video": {},
        "ice": {},
        "exchange": {},
        "hooks": {},
        "sms": {},
        "sip": {},
        "trunk": {},
        "backend": {},
        "conference": {},
    }
    uncommented = re.sub(r"^# (\w+ = )", r"\1", example(), flags=re.MULTILINE).split("# Tables")[0]
    found = config._flatten(tomllib.loads(uncommented))
    assert set(found) == {name for name, key in KEYS.items() if not key.secret}
    defaults = {name: (KEYS[name].unset if value == "" else KEYS[name].read(value)) for name, value in found.items()}
    written = Options()
    for name, value in defaults.items():
        section, _, last = name.rpartition(".")
        assert value == getattr(getattr(written, section) if section else written, last), name


def gateway(text: str, environ: dict[str, str] | None = None) -> GatewayOptions:
    write_user_file(text)
    return read_gateway(load(environ=environ or {}).options)


def test_nothing_configured_is_a_gateway_that_calls_out_and_simulates_numbers() -> None:
    assert gateway("") == GatewayOptions()


def test_a_whole_gateway_is_read(tmp_path: Path) -> None:
    users, password = tmp_path / "users", tmp_path / "password"
    users.write_text("# phones\nada:secret of ada\n\nbob:b:o:b\n")
    password.write_text("hunter2\n")
    for file in (users, password):
        file.chmod(0o600)
    options = gateway(
        f"""
[sip]
enabled = true
host = "0.0.0.0"
port = 5070
users_file = "{users}"
trusted = ["192.0.2.0/24"]
media = "rtpengine"
rtpengine = "192.0.2.9:22222"
rtpengine_digits = "192.0.2.8:22223"
digest = ["MD5", "SHA-256"]
media_ports = "20000-20999"
[trunk]
host = "carrier.example"
transport = "tls"
username = "us"
password_file = "{password}"
caller_id = "+46 10 123 45 67"
caller_ids = []
allow = ["+46"]
strip = "+"
prefix = "00"
max_calls = 2
[trunk.numbers]
"+46101234567" = "user:ada"
[dialplan]
"9*" = "number:+{{1}}"
"*" = "refuse"
[backend]
url = "https://example.org/voice"
fallback = "https://example.net/voice"
"""
    )
    assert options.sip == SipSettings(
        host="0.0.0.0",
        port=5070,
        users={"ada": "secret of ada", "bob": "b:o:b"},
        trusted=("192.0.2.0/24",),
        media="rtpengine",
        rtpengine=(WeightedAddress("192.0.2.9", 22222),),
        rtpengine_digits=("192.0.2.8", 22223),
        digest=("MD5", "SHA-256"),
        media_ports=(20000, 20999),
    )
    trunk = options.trunk
    assert trunk is not None
    assert (trunk.host, trunk.port_in_use, trunk.username, trunk.password) == ("carrier.example", 5061, "us", "hunter2")
    assert (trunk.caller_id, trunk.caller_ids, trunk.allow, trunk.strip, trunk.prefix) == ("+46101234567", (), ("+46",), "+", "00")
    assert (trunk.max_calls, dict(trunk.numbers)) == (2, {"+46101234567": "user:ada"})
    assert dict(options.dialplan) == {"9*": "number:+{1}", "*": "refuse"}
    assert options.backend == BackendOptions("https://example.org/voice", "https://example.net/voice")


def test_the_trunks_password_comes_from_a_command_a_file_or_the_environment_and_is_not_shown() -> None:
    text = '[trunk]\nhost = "carrier.example"\nusername = "us"\n'
    environ = {"SINCHPHONE_TRUNK_PASSWORD": "from-environment"}
    options = gateway(text, environ)
    assert options.trunk is not None
    assert options.trunk.password == "from-environment"
    assert "from-environment" not in repr(options)
    commanded = gateway(text + 'password_command = "echo from-command"\n', environ)
    assert commanded.trunk is not None
    assert commanded.trunk.password == "from-command"
    with pytest.raises(ConfigError, match="must not be kept"):
        gateway(text + 'password = "x"\n')
    with pytest.raises(ConfigError, match=r"trunk\.password_command failed"):
        gateway(text + 'password_command = "false"\n')


@pytest.mark.parametrize("line", ["ada", "ada:", ":secret", "ada lovelace:secret", "ada:secret\nada:again", "ada:\x07", "ada: "])
def test_a_file_of_phones_with_a_line_that_can_not_be_read_names_the_line(tmp_path: Path, line: str) -> None:
    users = tmp_path / "users"
    users.write_text(f"bob:secret\n{line}\n")
    users.chmod(0o600)
    with pytest.raises(ConfigError, match=r"line [23]"):
        gateway(f'[sip]\nenabled = true\nusers_file = "{users}"')


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_file_of_phones_that_others_can_read_is_refused(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("ada:secret")
    users.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        gateway(f'[sip]\nenabled = true\nusers_file = "{users}"')
    with pytest.raises(ConfigError, match="can't be read"):
        gateway(f'[sip]\nenabled = true\nusers_file = "{tmp_path}/none"')


@pytest.mark.parametrize(
    "text",
    [
        '[dialplan]\n"9*" = "jump"',
        '[dialplan]\n"9*" = "user:{2}"',
        '[trunk]\nhost = "carrier.example"\nallow = ["46"]',
        '[trunk]\nhost = "sip:carrier.example"',
        '[trunk]\nhost = "carrier.example"\n[trunk.numbers]\n"+46101234567" = "nowhere"',
        '[sip]\nenabled = true\ntrusted = ["everybody"]',
        '[sip]\nmedia_ports = "1-2"',
        '[sip]\nrtpengine = "localhost"',
        '[sip]\nmedia = "asterisk"',
        '[trunk]\nhost = "carrier.example"\nusername = "us"\nregister = true',
        '[backend]\nurl = "example.org"',
        '[backend]\nurl = "https://ada:secret@example.org/"',
        '[trunk]\nallow = "+46"',
        "[dialplan]\na = 1",
        "dialplan = 7",
        "[trunk]\nmax_calls = 0",
    ],
)
def test_a_gateway_that_can_not_be_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError):
        gateway(text)


def test_lists_and_tables_are_shown_as_toml_has_them() -> None:
    write_user_file('[trunk]\nallow = ["+46", "+47"]\n[dialplan]\n"9*" = "echo"')
    shown = {setting.key.name: setting.shown for setting in load(environ={}).settings}
    assert (shown["trunk.allow"], shown["trunk.caller_ids"], shown["trunk.deny"]) == ('["+46", "+47"]', '["*"]', "[]")
    assert (shown["dialplan"], shown["sip.rtpengine"]) == ('{ "9*" = "echo" }', "127.0.0.1:2223")


def test_the_exchange_listens_by_default_where_its_own_options_say() -> None:
    options = Options().exchange
    assert (options.host, options.port) == (exchange_options.DEFAULT_HOST, exchange_options.DEFAULT_PORT)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), (3, 3), ("500ms", 0.5), ("60s", 60), ("10m", 600), ("1h30m", 5400), ("0s", 0)]
)
def test_durations_are_written_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@given(st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.booleans()))
def test_any_value_is_a_duration_of_some_seconds_or_a_value_error(value: object) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(value) >= 0


def test_a_project_file_of_somebody_else_cannot_open_the_exchange_to_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sinchphone.toml").write_text('[exchange]\nhost = "0.0.0.0"\n')
    with pytest.raises(ConfigError, match=r"exchange\.host"):
        load(environ={})


@pytest.mark.parametrize("value", ["[]", '["SHA-1"]', '["MD5", "MD5"]', '"MD5"', '["SHA-256", "md5"]'])
def test_a_digest_that_nobody_computes_is_a_configuration_error(value: str) -> None:
    with pytest.raises(ConfigError, match="digest"):
        gateway(f"[sip]\nenabled = true\ndigest = {value}\n")


def test_phones_are_asked_for_md5_alone_where_nothing_is_said() -> None:
    options = gateway("[sip]\nenabled = true\n")
    assert options.sip is not None
    assert options.sip.digest == ("MD5",)


def test_an_option_that_sets_a_key_says_what_the_key_says() -> None:
    from sinchphone.cli.terminal.flags.commands import ExchangeFlags, PhoneFlags

    named = {
        "user": PhoneFlags, "audio.input": PhoneFlags, "audio.output": PhoneFlags, "audio.ring": PhoneFlags,
        "audio.echo_cancel": PhoneFlags,
        "audio.noise_suppression": PhoneFlags, "max_duration": PhoneFlags, "ring_timeout": PhoneFlags, "caller_id": PhoneFlags,
        "exchange.host": ExchangeFlags, "exchange.port": ExchangeFlags, "exchange.tls": ExchangeFlags, "exchange.tls_port": ExchangeFlags,
        "color": PhoneFlags, "plain": PhoneFlags, "json": PhoneFlags, "audio.gain_control": PhoneFlags, "audio.max_kbps": PhoneFlags,
    }  # fmt: skip
    for name, flags in named.items():
        [option] = get_type_hints(flags, include_extras=True)[name.rpartition(".")[2]].__metadata__
        assert KEYS[name].help.lower() in option.help.lower(), name
