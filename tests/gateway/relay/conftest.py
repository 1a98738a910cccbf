"""Both kinds of relays, in turn."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from sinchphone.gateway.relay.local import LocalRelays
from sinchphone.gateway.relay.relay import Relays
from sinchphone.gateway.relay.rtpengine import RtpengineRelays
from sinchphone.media.thread import MediaThread
from sinchphone.schema import WeightedAddress
from tests.gateway.relay.relay_lab import Rtpengine, missing_package, opened_sockets
from tests.gateway.relay.relayed_calls import Lab


@pytest.fixture
async def media() -> AsyncIterator[MediaThread]:
    """A media thread; whoever uses it leaves no socket behind."""
    before = opened_sockets()
    async with MediaThread() as thread:
        yield thread
    assert opened_sockets() <= before


@pytest.fixture
async def rtpengine() -> AsyncIterator[Rtpengine]:
    missing = missing_package()
    if missing is not None:
        pytest.skip(f"needs the package {missing}")
    async with Rtpengine.started() as running:
        yield running


@pytest.fixture
async def local(media: MediaThread) -> AsyncIterator[LocalRelays]:
    relays = LocalRelays(media)
    yield relays
    await relays.close()


@pytest.fixture
async def remote(rtpengine: Rtpengine) -> AsyncIterator[RtpengineRelays]:
    relays = RtpengineRelays([WeightedAddress(*rtpengine.address)], digits_at=rtpengine.digits_at)
    await relays.start()
    yield relays
    await relays.close()


@pytest.fixture(params=["local", "rtpengine"])
def relays(request: pytest.FixtureRequest) -> Relays:
    """Both kinds."""
    made: Relays = request.getfixturevalue("local" if request.param == "local" else "remote")
    return made


@pytest.fixture
async def lab(relays: Relays, media: MediaThread) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        yield Lab(relays, media, stack)
