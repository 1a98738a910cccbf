"""Digits in INFO bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.digits import DIGITS
from sinchphone.protocol.sip.session.dtmf_info import (
    PLAIN,
    RELAY,
    read_digit,
    write_digit,
)


@pytest.mark.parametrize(
    ("kind", "body", "digit", "duration"),
    [
        (RELAY, b"Signal=5\r\nDuration=160\r\n", "5", 160),
        (RELAY, b"Signal= 5\nDuration= 300", "5", 300),
        (RELAY, b"signal=*", "*", 160),
        (RELAY, b"Signal=11\r\nDuration=1\r\n", "#", 40),
        (RELAY, b"Signal=d\r\nDuration=99999\r\n", "D", 8000),
        (PLAIN, b"7", "7", 160),
        (PLAIN, b" #\r\n", "#", 160),
        (PLAIN, b"Signal=1\r\nDuration=250", "1", 250),
    ],
)
def test_what_phones_write_is_read(kind: str, body: bytes, digit: str, duration: int) -> None:
    assert read_digit(kind, body) == (digit, duration)


@pytest.mark.parametrize("body", [b"", b"Signal=", b"Signal=16", b"Signal=hf", b"5", b"Signal=1A"])
def test_what_is_no_digit_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_digit(RELAY, body)


@pytest.mark.parametrize("digit", DIGITS)
def test_our_digits_can_be_read(digit: str) -> None:
    assert read_digit(RELAY, write_digit(digit, 200)) == (digit, 200)


@pytest.mark.parametrize("digit", ["", "12", "x", "\r"])
def test_ours_must_be_one(digit: str) -> None:
    with pytest.raises(LocalProtocolError):
        write_digit(digit, 100)


@given(st.sampled_from([RELAY, PLAIN]), st.binary(max_size=80))
def test_any_body_is_a_digit_or_refused(kind: str, body: bytes) -> None:
    try:
        digit, duration = read_digit(kind, body)
    except RemoteProtocolError:
        return
    assert digit in DIGITS
    assert 40 <= duration <= 8000
