"""Whether what carries the gateway's sound is there, for who asks whether it's ready."""

import asyncio
import json
import socket

import pytest

from sinchphone.gateway.media_backends import MediaBackends
from sinchphone.gateway.options import SipSettings
from sinchphone.gateway.relay import ng_pool
from sinchphone.media.thread import MediaThread
from sinchphone.schema import WeightedAddress


class _Rtpengine(asyncio.DatagramProtocol):
    """Answers every request with what it's told to."""

    def __init__(self, answer: dict[str, str]) -> None:
        self._answer = json.dumps(answer).encode()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(data.partition(b" ")[0] + b" " + self._answer, addr)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ({"result": "pong"}, None),
        ({"result": "load limit"}, "rtpengine is at its limit of calls"),
        ({"result": "error"}, "rtpengine refused"),
    ],
)
async def test_rtpengine_says_how_it_is(answer: dict[str, str], trouble: str | None) -> None:
    made, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Rtpengine(answer), local_addr=("127.0.0.1", 0))
    backends = MediaBackends(MediaThread(), SipSettings(media="rtpengine", rtpengine=(WeightedAddress(*made.get_extra_info("sockname")),)))
    try:
        found = await backends.troubles()
        assert [trouble is not None and one.startswith(trouble) for one in found] == ([] if trouble is None else [True])
        assert backends.carries(found) == (trouble is None)
    finally:
        await backends.close()
        made.close()


async def test_an_rtpengine_that_is_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ng_pool, "PING_SECONDS", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        backends = MediaBackends(MediaThread(), SipSettings(media="rtpengine", rtpengine=(WeightedAddress(*silent.getsockname()),)))
        assert await backends.troubles() == [f"rtpengine at 127.0.0.1:{silent.getsockname()[1]} does not answer"]
        await backends.close()


async def test_sound_in_the_process_needs_nobody() -> None:
    backends = MediaBackends(MediaThread(), SipSettings())
    assert backends.carries(await backends.troubles())
    await backends.close()
