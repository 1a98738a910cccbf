"""``exchange move``: a file's users and messages at Redis, by one command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.shared.conftest import RedisServer, need_redis


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    need_redis()
    monkeypatch.setenv("SINCHPHONE_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(f'user = "bob"\nstate_dir = "{tmp_path}/state"\n[exchange]\nport = 0\n')
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


def test_a_file_is_moved_and_the_counts_are_told(sinchphone: Any, server: RedisServer) -> None:
    assert sinchphone("exchange", "move").code == 2
    assert sinchphone("exchange", "move", "--to", "http://127.0.0.1").code == 2
    lacking = sinchphone("exchange", "move", "--to", server.address)
    assert (lacking.code, "there is no database" in lacking.err) == (14, True)
    assert sinchphone("exchange", "users", "add", "ada", "--number", "+46700000001").code == 0
    told, result = sinchphone("exchange", "move", "--to", server.address, "--json").events
    assert (told["event"], told["users"], told["message_frames"], told["known"], result["ok"]) == ("exchange.moved", 1, 0, 0, True)
    again = sinchphone("exchange", "move", "--to", server.address)
    nothing = "moved: users 0, devices 0, frames of messages that wait 0"
    assert (again.code, again.out) == (0, f"{nothing}; rows 0, known before {told['rows']}\n")
