"""What the process in the background is told and answers, its log, and what happens where it can't be started."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sinchphone.errors import ConfigError, MediaError, NetworkError, SinchphoneError
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.store.store import StoreError
from sinchphone.gateway.options import BackendOptions, GatewayOptions, SipSettings, TrunkOptions
from sinchphone.local import Local
from sinchphone.local.background import host, launch
from sinchphone.local.background.settings import HostSettings, Started, read_report, write_failure, write_started
from tests.suite.ports import free_ports

TRUNK = TrunkOptions(
    host="trunk.example",
    transport="tls",
    ca_file=Path("/etc/ca.pem"),
    srtp=True,
    username="us",
    password="tr0mbone",
    caller_ids=("+46101234567",),
    allow=("+46", "+1"),
    numbers={"+46101234567": "user:ada"},
)
FULL = HostSettings(
    folder=Path("/state"),
    exchange=ExchangeOptions(host="::1", port=4700, inner_hosts=("files.lan", "10.1.0.0/16")),
    gateway=GatewayOptions(trunk=TRUNK, dialplan={"9*": "number:+{1}"}, backend=BackendOptions(url="https://example.org/sinch")),
    keep=False,
    idle_seconds=1.5,
)


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """The root logger as it was."""
    root = logging.getLogger()
    before, level = list(root.handlers), logging.getLogger("sinchphone").level
    yield
    for one in set(root.handlers) - set(before):
        one.close()
    root.handlers[:] = before
    logging.getLogger("sinchphone").setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize("settings", [FULL, HostSettings(folder=Path("/state"))])
def test_settings_come_as_they_were_told(settings: HostSettings) -> None:
    assert HostSettings.read(settings.write()) == settings


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"folder": 1}', FULL.write().replace('"keep"', '"kept"'), FULL.write().replace("4700", "70000")]
)
def test_settings_that_are_none_are_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        HostSettings.read(text)


def test_each_setting_makes_another_fingerprint_and_none_says_what_it_is() -> None:
    others = [
        replace(FULL, keep=True),
        replace(FULL, gateway=replace(FULL.gateway, dialplan={})),
        replace(FULL, gateway=replace(FULL.gateway, backend=None)),
        replace(FULL, gateway=replace(FULL.gateway, trunk=replace(TRUNK, password="tuba"))),
        replace(FULL, exchange=replace(FULL.exchange, inner_hosts=())),
    ]
    prints = {one.fingerprint(b"s" * 32) for one in (FULL, *others)}
    assert len(prints) == 1 + len(others)
    assert FULL.fingerprint(b"t" * 32) not in prints
    assert replace(FULL, folder=Path("/other"), idle_seconds=9.0).fingerprint(b"s" * 32) == FULL.fingerprint(b"s" * 32)
    assert "tr0mbone" not in FULL.fingerprint(b"s" * 32) + repr(FULL)


def test_one_in_the_background_takes_neither_phones_nor_the_trunks_registration() -> None:
    gateway = replace(FULL.gateway, sip=SipSettings(users={"ada": "x"}, tls=True), trunk=replace(TRUNK, register=True))
    told = replace(FULL, gateway=gateway).without_listening()
    assert (told.gateway.sip, told.gateway.trunk) == (None, TRUNK)
    assert told.gateway.dialplan == FULL.gateway.dialplan


def test_its_answer_is_that_it_hosts_or_the_error_that_keeps_it_from_that() -> None:
    started = Started(4711, "/state/exchange.log")
    assert read_report(write_started(started).encode()) == started
    for kind, read in ((ConfigError, ConfigError), (StoreError, ConfigError), (NetworkError, NetworkError), (MediaError, MediaError)):
        with pytest.raises(read, match="no") as raised:
            read_report(write_failure(kind("no", hint="do")).encode())
        assert raised.value.hint == "do"
    with pytest.raises(SinchphoneError):
        read_report(write_failure(SinchphoneError("no")).encode())
    with pytest.raises(ValueError, match="Expecting"):
        read_report(b"Traceback (most recent call last):\n")


def test_its_log_is_bounded(tmp_path: Path, quiet_log: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "MAX_LOG_BYTES", 5_000)
    path = host._open_log(tmp_path)
    for number in range(1_000):
        logging.getLogger("sinchphone.exchange").warning("something goes wrong again and again: %d", number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["exchange.log", "exchange.log.1"]
    assert path == str(files[0])
    assert all(file.stat().st_size <= 5_000 for file in files)
    assert "again: 999" in files[0].read_text()


def test_where_no_log_can_be_written_it_hosts_without(tmp_path: Path, quiet_log: None) -> None:
    assert host._open_log(tmp_path / "missing") is None


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false", "/bin/echo"])
async def test_where_no_process_can_be_started_the_command_hosts_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(launch.sys, "executable", program)  # type: ignore[attr-defined]
    port = free_ports(1)
    background = HostSettings(folder=tmp_path, exchange=ExchangeOptions(port=port))
    async with Local(tmp_path, port=port, background=background) as local, Local(tmp_path, port=port) as other:
        assert (local.hosting, other.hosting) == (True, False)
        assert local.take_news() == []


def test_what_is_told_is_json_without_defaults() -> None:
    assert json.loads(HostSettings(folder=Path("/state")).write())["exchange"] == {}
