"""``trace`` where there is nothing to look at: it starts no exchange, and says what to do."""

import socket
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def free_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """A port of this machine where nobody listens, which is that of the configured exchange; it may be started in the background."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    monkeypatch.setenv("SINCHPHONE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SINCHPHONE_BACKGROUND", "true")
    (tmp_path / "config.toml").write_text(f'user = "ada"\nstate_dir = "{tmp_path}/state"\n[exchange]\nport = {port}\n')
    return port


@pytest.mark.parametrize("arguments", [(), ("last",), ("last", "--export", "call.pcapng")])
def test_where_no_exchange_runs_none_is_started_and_the_hint_is_about_that(
    sinchphone: Any, free_place: int, arguments: tuple[str, ...]
) -> None:
    done = sinchphone("trace", *arguments)
    assert (done.code, done.out) == (7, "")
    assert "no exchange runs" in done.err and "sinchphone exchange runs one" in done.err
    with socket.socket() as asked:
        assert asked.connect_ex(("127.0.0.1", free_place)) != 0
    assert not Path("call.pcapng").exists()


def test_a_call_of_no_name_is_a_matter_of_usage(sinchphone: Any, free_place: int) -> None:
    assert sinchphone("trace", "").code == 2


def test_in_the_cloud_there_is_no_trace(sinchphone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINCH_APPLICATION_KEY", "key")
    assert sinchphone("trace").code == 14
