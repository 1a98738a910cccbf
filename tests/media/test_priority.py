"""Voice is marked as voice, where that is possible."""

import socket
from typing import cast

import pytest

from sinchphone.media.network.priority import prioritise


@pytest.mark.parametrize(
    ("family", "address", "level", "option"),
    [
        (socket.AF_INET, "127.0.0.1", socket.IPPROTO_IP, socket.IP_TOS),
        (socket.AF_INET6, "::1", socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
    ],
)
def test_what_is_sent_is_marked_as_voice(family: socket.AddressFamily, address: str, level: int, option: int) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as voice:
        try:
            voice.bind((address, 0))
        except OSError:
            pytest.skip(f"there is no {address} here")
        prioritise(voice)
        assert voice.getsockopt(level, option) >> 2 == 46


def test_a_system_that_does_not_let_packets_be_marked_carries_them_all_the_same() -> None:
    class Refusing:
        family = socket.AF_INET

        def setsockopt(self, *_: int) -> None:
            raise PermissionError

    prioritise(cast(socket.socket, Refusing()))
