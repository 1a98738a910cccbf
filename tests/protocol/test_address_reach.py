"""What a host is to the kernel, and how far inside an address lies."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.hosts import numeric_address
from sinchphone.protocol.address_reach import Reach, reach_of


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7F.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0251.0376.0251.0376", "169.254.169.254"),
        ("127.0.0.1.", "127.0.0.1"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_a_host_is_the_address_that_the_kernel_takes_it_for(host: str, address: str) -> None:
    assert numeric_address(host) == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "host", ["", "localhost", "example.org", "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "089", "0xg", "127.0.0.1.example", "a.1"]
)
def test_a_name_is_no_address(host: str) -> None:
    assert numeric_address(host) is None


@given(
    st.lists(
        st.sampled_from(["0", "1", "127", "255", "256", "65536", "0x7f", "010", "08", "0x", "4294967295", "4294967296"]),
        min_size=1,
        max_size=5,
    )
)
def test_addresses_are_read_as_inet_aton_reads_them(parts: list[str]) -> None:
    text = ".".join(parts)
    try:
        expected = ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        assert numeric_address(text) is None or "0x" in parts  # glibc takes "0x" for nothing, others for 0
        return
    assert numeric_address(text) == expected


@pytest.mark.parametrize(
    ("reach", "addresses"),
    [
        (Reach.OUTSIDE, ("8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")),
        (
            Reach.INSIDE,
            ("127.0.0.1", "127.255.0.9", "10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1", "::1", "fd12::1"),
        ),
        (
            Reach.INSIDE,
            ("::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::808:808", "2002:7f00:1::", "2a00::5efe:10.0.0.1"),
        ),
        (Reach.FORBIDDEN, ("0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "255.255.255.255", "224.0.0.1", "240.0.0.1")),
        (Reach.FORBIDDEN, ("::", "fe80::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")),
        (Reach.FORBIDDEN, ("::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1")),
    ],
)
def test_addresses_lie_as_far_inside_as_what_they_carry(reach: Reach, addresses: tuple[str, ...]) -> None:
    assert {address: reach_of(ipaddress.ip_address(address)) for address in addresses} == dict.fromkeys(addresses, reach)


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_what_is_not_everybodys_is_outside_for_nobody(address: ipaddress.IPv4Address) -> None:
    assert address.is_global or address.is_multicast or reach_of(address) is not Reach.OUTSIDE
