"""Calls through a relay: phones that say tones, and what tidies up after them."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from sinchphone.gateway.relay.relay import MediaTransport, Relay, Relays
from sinchphone.media.thread import MediaThread
from tests.gateway.relay.relay_lab import PATIENCE_S, Phone, PortPhone, RawPhone, Told

CALLER_HZ, CALLED_HZ, THIRD_HZ = 440.0, 1000.0, 700.0
WEBRTC, RTP, SRTP = MediaTransport.WEBRTC, MediaTransport.RTP, MediaTransport.SRTP
STEREO_DB = 3.5  # rtpengine's Opus: mono spread over two channels comes out 3 dB quieter

AnyPhone = TypeVar("AnyPhone", RawPhone, PortPhone)


@dataclass
class Call:
    """A call that stands."""

    relay: Relay
    told: Told
    caller: Phone
    called: Phone
    offered: str  # to the called side
    answered: str  # to the caller


class Lab:
    """Makes phones and calls, and tidies up after them."""

    def __init__(self, relays: Relays, media: MediaThread, stack: AsyncExitStack) -> None:
        self.relays = relays
        self.media = media
        self.stack = stack

    def raw(self, hz: float) -> RawPhone:
        return self._kept(RawPhone(hz))

    def port(self, transport: MediaTransport, hz: float, *codecs: str) -> PortPhone:
        if transport is WEBRTC:
            return self._kept(PortPhone.webrtc(self.media, hz, *codecs))
        return self._kept(PortPhone.rtp(self.media, hz, *codecs, srtp=transport is SRTP))

    def relay(self, caller: MediaTransport) -> tuple[Relay, Told]:
        relay = self.relays.relay("call", caller)
        self.stack.push_async_callback(relay.delete)
        return relay, Told(relay)

    async def call(self, caller: Phone, one: MediaTransport, called: Phone, other: MediaTransport) -> Call:
        relay, told = self.relay(one)
        offered = await relay.offer(await caller.offer(), other)
        answered = await relay.answer(await called.answer(offered))
        await caller.accept(answered)
        return Call(relay, told, caller, called, offered, answered)

    def _kept(self, phone: AnyPhone) -> AnyPhone:
        self.stack.push_async_callback(phone.close)
        return phone


async def until_quiet(phone: RawPhone) -> None:
    """Wait for a third of a second in which nothing comes."""
    limit = time.monotonic() + PATIENCE_S
    while True:
        phone.got.clear()
        await asyncio.sleep(0.3)
        if not phone.got:
            return
        assert time.monotonic() < limit, "packets come on and on"
