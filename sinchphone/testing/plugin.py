"""The pytest plugin (entry point ``pytest11``): fixtures whose code is loaded when a test first asks for one of them.

::

    def test_the_bot_greets(sinchphone_exchange, sinchphone_client):
        call = sinchphone_client("ada").call("bot").established()
        call.heard.tone(440)
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sinchphone.media.thread import MediaThread
    from sinchphone.testing.backend import AppBackend
    from sinchphone.testing.dialled import DialledCall
    from sinchphone.testing.exchange import OwnExchange
    from sinchphone.testing.loop_thread import LoopThread
    from sinchphone.testing.phone import CallingPhone

_TIMEOUT = "sinchphone_timeout"
_BACKEND = "sinchphone_backend"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one setting."""
    parser.addini(_TIMEOUT, "seconds that an assertion on a call, its sound, a message or an event waits", default="20")


def _seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getini(_TIMEOUT))


@pytest.fixture(scope="session")
def _sinchphone_threads() -> "Iterator[tuple[LoopThread, MediaThread]]":
    from sinchphone.media.thread import MediaThread
    from sinchphone.testing.loop_thread import LoopThread

    thread = LoopThread()
    try:
        with MediaThread() as media:
            yield thread, media
    finally:
        thread.close()


@pytest.fixture
def sinchphone_backend(request: pytest.FixtureRequest, _sinchphone_threads: "tuple[LoopThread, MediaThread]") -> "Iterator[AppBackend]":
    """The app's backend, whom the exchange asks where calls go: ``answers["ice"]`` is SVAML or a function of the event, ``expect("dice")``
    waits for one."""
    from sinchphone.testing.backend import AppBackend

    with closing(AppBackend(_sinchphone_threads[0], _seconds(request))) as backend:
        yield backend.open()


@pytest.fixture
def sinchphone_backend_url(request: pytest.FixtureRequest) -> str | None:
    """The URL that the exchange asks where calls go: that of ``sinchphone_backend`` where a test has it, else none. Define a fixture of
    this name to have your own backend asked."""
    if _BACKEND not in request.fixturenames:
        return None
    url: str = request.getfixturevalue(_BACKEND).url
    return url


@pytest.fixture
def sinchphone_exchange(
    request: pytest.FixtureRequest,
    tmp_path: "Path",
    sinchphone_backend_url: str | None,
    _sinchphone_threads: "tuple[LoopThread, MediaThread]",
) -> "Iterator[OwnExchange]":
    """An exchange of the test's own, on a free port, with nobody in it."""
    from sinchphone.testing.exchange import OwnExchange

    exchange = OwnExchange(tmp_path / "sinchphone", *_sinchphone_threads, _seconds(request), sinchphone_backend_url)
    with closing(exchange.open()):
        if _BACKEND in request.fixturenames:
            request.getfixturevalue(_BACKEND).trust(exchange.application_key, exchange.secret)
        yield exchange


@pytest.fixture
def sinchphone_client(sinchphone_exchange: "OwnExchange") -> "Callable[[str], CallingPhone]":
    """Makes registered phones of the exchange: ``ada = sinchphone_client("ada")``."""
    return sinchphone_exchange.phone


@pytest.fixture
def sinchphone_dial(sinchphone_exchange: "OwnExchange") -> "Callable[..., DialledCall]":
    """Has a simulated phone call a number of the exchange's: ``call = sinchphone_dial("+46850000000", "+46700000002", tone_hz=440)``."""
    return sinchphone_exchange.dial
