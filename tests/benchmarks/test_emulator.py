"""The emulated line: what it takes for sound, and that it loses what it says."""

import json
import os
import resource
import struct
import subprocess
import sys

import emulator
import pytest
from line import CONDITIONS, DELAY_S

LOSSY = next(each for each in CONDITIONS if each.name == "10 % in bursts of 3")
PACKETS = 300

# Sends numbered RTP packets one way, or echoes everything: one per 2 ms, then tells which came back and the median round trip.
ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 9000))
print("ready", flush=True)
while True:
    data, sender = server.recvfrom(2048)
    server.sendto(data, sender)
"""
ASK = """
import json, select, socket, struct, sys, time
client, seen, times = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), set(), []
def take(seconds):
    while select.select([client], [], [], seconds)[0]:
        data = client.recv(2048)
        if data[0] == 128:
            seen.add(struct.unpack_from("!H", data, 2)[0])
        else:
            times.append(time.monotonic() - struct.unpack_from("!d", data, 1)[0])
for number in range(int(sys.argv[2])):
    client.sendto(struct.pack("!BBHII", 128, 111, (65000 + number) % 65536, 0, 7) + bytes(20), (sys.argv[1], 9000))
    client.sendto(struct.pack("!Bd", 1, time.monotonic()) + bytes(20), (sys.argv[1], 9000))
    time.sleep(0.002)
    take(0)
take(1.0)
print(json.dumps([sorted(seen), sorted(times)[len(times) // 2], len(times)]))
"""


def udp(payload: bytes) -> bytes:
    """In an IPv4 packet without options."""
    return bytes([0x45, *bytes(8), 17, *bytes(10)]) + bytes(8) + payload


@pytest.mark.parametrize(
    ("packet", "sequence"),
    [
        (udp(struct.pack("!BBHII", 0x80, 111, 4711, 0, 7) + bytes(20)), 4711),
        (udp(struct.pack("!BBHII", 0x90, 0x80 | 63, 4712, 0, 7) + bytes(20)), 4712),
        (udp(struct.pack("!BBHII", 0x81, 200, 6, 0, 7) + bytes(20)), None),
        (udp(struct.pack("!BBHII", 0x81, 205, 6, 0, 7) + bytes(20)), None),
        (udp(struct.pack("!BBHII", 0x00, 1, 8, 0x2112A442, 7) + bytes(20)), None),
        (udp(b"\x16\xfe\xfd" + bytes(40)), None),
        (udp(b"\x80"), None),
        (b"", None),
    ],
    ids=["sound", "sound with the marker", "a report", "a request", "STUN", "DTLS", "a short one", "nothing"],
)
def test_only_packets_of_sound_are_lost_or_late(packet: bytes, sequence: int | None) -> None:
    assert emulator.rtp_sequence(packet) == sequence


def test_the_line_between_two_hosts_loses_the_packets_it_says_and_no_others() -> None:
    lacks = emulator.missing()
    if lacks is not None:
        pytest.skip(f"needs {lacks}")
    with emulator.Emulator(90, LOSSY, 1) as hosts:
        command = hosts.command(1, sys.executable, "-c", ECHO)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as echo:
            assert echo.stdout is not None
            assert echo.stdout.readline() == "ready\n"
            ask = hosts.command(0, sys.executable, "-c", ASK, hosts.addresses[1], str(PACKETS))
            seen, round_trip, answers = json.loads(subprocess.run(ask, capture_output=True, text=True, check=True, timeout=60).stdout)
            echo.kill()
    fates = LOSSY.packets(1)[:PACKETS]
    assert seen == sorted((65_000 + number) % 65_536 for number, (lost, _) in enumerate(fates) if not lost)
    assert answers == PACKETS
    assert 2 * DELAY_S <= round_trip < 2 * DELAY_S + 0.05
    assert (hosts.counts["sent"], hosts.counts["lost"]) == (PACKETS, sum(lost for lost, _ in fates))


def test_the_relay_goes_before_all_others_only_when_both_hosts_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap: what made the hosts waited busily for a lock, before all others, and whoever held it couldn't run: the machine stood still."""
    happened: list[str] = []
    ends = [os.pipe() for _ in range(3)]

    def host(number: int, which: int) -> int:
        happened.append("host")
        os.set_blocking(ends[which][0], False)
        return ends[which][0]

    monkeypatch.setattr(emulator, "_host", host)
    monkeypatch.setattr(emulator, "make_urgent", lambda: happened.append("urgent"))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: happened.append("bounded"))
    os.close(ends[2][1])
    with os.fdopen(ends[2][0]) as ended:
        monkeypatch.setattr(sys, "stdin", ended)
        assert emulator.relay(91, LOSSY, 1)["carried"] == 0
    assert happened == ["host", "host", "bounded", "urgent"]
    for one, other in ends[:2]:
        os.close(one)
        os.close(other)
