"""Calls to hosts on different networks in the same moment: each is told the address that leads back to us from there.

Three network namespaces of the test's own: the gateway's, and one for each host.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sinchphone.gateway.media_backends import MediaBackends
from sinchphone.gateway.options import SipSettings
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.media.thread import MediaThread

SCRIPT = Path(__file__).with_name("two_networks.py")
LIMIT_S = 60.0
NETWORKS = ("10.78.1", "10.78.2")  # the gateway is .1 in each, the host .2


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@dataclass(frozen=True)
class Namespaces:
    gateway: str
    hosts: tuple[str, str]


def connect(gateway: str, host: str, network: str, number: int) -> None:
    ours, theirs = f"sp{os.getpid()}g{number}"[-15:], f"sp{os.getpid()}h{number}"[-15:]
    ip("link", "add", ours, "netns", gateway, "type", "veth", "peer", "name", theirs, "netns", host)
    for namespace, device, address in ((gateway, ours, f"{network}.1/24"), (host, theirs, f"{network}.2/24")):
        ip("-n", namespace, "address", "add", address, "dev", device)
        ip("-n", namespace, "link", "set", device, "up")


@pytest.fixture
def namespaces() -> Iterator[Namespaces]:
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs the package iproute2, and root")
    names = [f"sinchphone-{os.getpid()}-{number}" for number in range(3)]
    made = []
    try:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError:
                pytest.skip("this system gives no network namespaces to iproute2")
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        for number, network in enumerate(NETWORKS):
            connect(names[0], names[number + 1], network, number)
        yield Namespaces(names[0], (names[1], names[2]))
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=10)


async def start(namespace: str, *words: str) -> asyncio.subprocess.Process:
    command = ("ip", "netns", "exec", namespace, sys.executable, str(SCRIPT), *words)
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)


async def test_calls_to_two_networks_in_the_same_moment_name_each_ones_own_address(namespaces: Namespaces) -> None:
    processes: list[asyncio.subprocess.Process] = []
    try:
        for namespace, network in zip(namespaces.hosts, NETWORKS, strict=True):
            processes.append(await start(namespace, "refuse", f"{network}.2"))
            assert processes[-1].stdout is not None
            assert await asyncio.wait_for(processes[-1].stdout.readline(), LIMIT_S) == b"ready\n"
        processes.append(await start(namespaces.gateway, "call", *(f"{network}.2" for network in NETWORKS)))
        said, complaints = await asyncio.wait_for(processes[-1].communicate(), LIMIT_S)
        assert said.decode().split() == ["denied", "denied"], complaints.decode()
        for process, network in zip(processes, NETWORKS, strict=False):
            offer, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
            assert f"c=IN IP4 {network}.1" in offer.decode().splitlines()
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.parametrize("kind", ["relay", "port"])
async def test_the_address_of_one_call_is_not_changed_by_another(kind: str) -> None:
    with MediaThread() as media:
        backends = MediaBackends(media, SipSettings(port=0))
        hosts = ("127.0.0.1", "127.0.0.2")
        try:
            if kind == "relay":
                relays = [backends.at(host).relay(host, MediaTransport.RTP) for host in hosts]
                plain = "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
                offers = [await relay.offer(plain, MediaTransport.RTP) for relay in relays]
            else:
                ports = [backends.at(host).port(host, MediaTransport.RTP) for host in hosts]
                offers = [(await port.offer()).sdp for port in ports]
                for port in ports:
                    await port.close()
            for offer, host in zip(offers, hosts, strict=True):
                assert f"c=IN IP4 {host}" in offer.splitlines()
        finally:
            await backends.close()
