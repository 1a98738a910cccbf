"""The content encoding of RFC 8188: its vectors, its edges, and what is cut short."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.webpush.keys import read_base64
from sinchphone.protocol.webpush.records import MIN_RECORD_BYTES, Content, encrypt_records

SECRET = bytes(range(16))
SALT = bytes(range(100, 116))
WALRUS = b"I am the walrus"


def b64(text: str) -> bytes:
    return read_base64(text, "vector")


def test_the_first_vector_of_the_rfc_is_made_and_read() -> None:
    body = b64("I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg")
    secret = b64("yqdlZ-tYemfogSmv7Ws5PQ")
    assert Content.parse(body).decrypt(secret) == WALRUS
    assert encrypt_records(WALRUS, secret, salt=body[:16], record_size=4096).write() == body


def test_the_second_vector_of_the_rfc_has_two_records_and_a_padded_one() -> None:
    body = b64("uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA")
    content = Content.parse(body)
    assert (content.record_size, content.key_id) == (25, b"a1")
    assert content.decrypt(b64("BO3ZVPxUlnLORbVGMpbT1Q")) == WALRUS


@given(st.binary(max_size=200), st.integers(MIN_RECORD_BYTES, 300), st.binary(max_size=255))
def test_whatever_is_encrypted_is_read_again(plain: bytes, record_size: int, key_id: bytes) -> None:
    content = Content.parse(encrypt_records(plain, SECRET, salt=SALT, record_size=record_size, key_id=key_id).write())
    assert (content.decrypt(SECRET), content.key_id) == (plain, key_id)


@given(st.binary(max_size=120))
def test_any_bytes_are_content_or_a_protocol_error(body: bytes) -> None:
    try:
        Content.parse(body).decrypt(SECRET)
    except RemoteProtocolError:
        return
    pytest.fail("random bytes were taken for content")


@pytest.mark.parametrize("ending", [b"\0", b"\2", b"\1\0\0", b"\2\2"])
def test_a_plaintext_that_ends_like_padding_or_a_delimiter_stays_as_it_is(ending: bytes) -> None:
    plain = WALRUS + ending
    assert encrypt_records(plain, SECRET, salt=SALT, record_size=20).decrypt(SECRET) == plain


def test_records_of_seventeen_bytes_hold_nothing_and_are_refused() -> None:
    small = encrypt_records(b"x", SECRET, salt=SALT, record_size=18)
    assert small.decrypt(SECRET) == b"x"
    body = bytearray(small.write())
    body[16:20] = (17).to_bytes(4, "big")
    with pytest.raises(RemoteProtocolError, match="records of 17 bytes"):
        Content.parse(bytes(body))
    with pytest.raises(LocalProtocolError):
        encrypt_records(b"x", SECRET, salt=SALT, record_size=17)


def test_content_that_is_cut_after_a_whole_record_is_refused() -> None:
    """The record says of itself that others follow."""
    content = encrypt_records(b"a" * 10, SECRET, salt=SALT, record_size=20)
    cut = Content(content.salt, 20, b"", content.records[:20])
    with pytest.raises(RemoteProtocolError, match="cut short"):
        cut.decrypt(SECRET)


def test_a_last_record_in_the_middle_is_refused() -> None:
    one = encrypt_records(b"abc", SECRET, salt=SALT, record_size=20)
    joined = Content(one.salt, 20, b"", one.records + one.records)
    with pytest.raises(RemoteProtocolError):
        joined.decrypt(SECRET)


def test_records_that_change_places_are_refused() -> None:
    content = encrypt_records(b"a" * 9, SECRET, salt=SALT, record_size=20)
    swapped = Content(content.salt, 20, b"", content.records[20:40] + content.records[:20] + content.records[40:])
    with pytest.raises(RemoteProtocolError):
        swapped.decrypt(SECRET)


@pytest.mark.parametrize("length", [0, 5, 20, 21, 22])
def test_a_header_that_is_cut_short_is_refused(length: int) -> None:
    body = encrypt_records(b"x", SECRET, salt=SALT, record_size=20, key_id=b"a1").write()
    with pytest.raises(RemoteProtocolError):
        Content.parse(body[:length])


@pytest.mark.parametrize("text", ["AQID+/8=", "AQID-_8", "AQID\r\n-_8=", " AQID+/8 "])
def test_both_alphabets_of_base64_are_read_padded_or_not(text: str) -> None:
    assert read_base64(text, "a key") == base64.b64decode("AQID+/8=")


@pytest.mark.parametrize("text", ["A", "AQID*", "ä", "AQ=ID"])
def test_what_is_not_base64_is_named_and_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="p256dh"):
        read_base64(text, "p256dh")
