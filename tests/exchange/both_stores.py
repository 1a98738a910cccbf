"""Tests that run on both stores of an exchange: what one process keeps for itself, and Redis."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sinchphone.exchange.options import StoreAddress

if TYPE_CHECKING:
    from tests.exchange.shared.conftest import RedisServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A file that says ``ON_BOTH_STORES`` runs twice where it starts an exchange, or those of its tests that it names: on one of its own
    and on Redis."""
    said = getattr(metafunc.module, "ON_BOTH_STORES", False)
    if (said is True or (said and metafunc.function.__name__ in said)) and "kept" in metafunc.fixturenames:
        metafunc.parametrize("kept", ["alone", "redis"], indirect=True)


@pytest.fixture(scope="session", name="redis_of_process")
def redis_fixture(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[RedisServer]":
    """One server for all tests of this process that run on both stores."""
    from tests.exchange.shared.conftest import RedisServer, need_redis

    need_redis()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(name="kept")
def kept_fixture(request: pytest.FixtureRequest) -> StoreAddress | None:
    """Where exchanges of this test keep what they know: nowhere, or at an empty Redis."""
    if getattr(request, "param", "alone") == "alone":
        return None
    server: RedisServer = request.getfixturevalue("redis_of_process")
    server.empty()
    return server.address


@pytest.fixture(name="lasting")
def lasting_fixture(kept: StoreAddress | None, tmp_path: Path) -> Path | StoreAddress:
    """Where an exchange keeps what the next one knows: a file, or the same Redis."""
    return kept or tmp_path / "exchange.sqlite3"
