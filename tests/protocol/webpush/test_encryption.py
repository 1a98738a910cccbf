"""Pushes that only the user agent reads: the vector of RFC 8291, and everything that isn't one."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.webpush.encryption import MAX_PLAINTEXT_BYTES, MAX_PUSH_BYTES, ReceiverKeys, decrypt_push, encrypt_push
from sinchphone.protocol.webpush.keys import KeyPair, read_base64, read_point, write_base64
from sinchphone.protocol.webpush.records import Content, encrypt_records
from sinchphone.protocol.webpush.subscription import PushSubscription

SALT = bytes(16)
ENDPOINT = "https://push.example/abc"


def b64(text: str) -> bytes:
    return read_base64(text, "vector")


def pair(seed: int) -> KeyPair:
    return KeyPair.from_random(hashlib.sha384(str(seed).encode()).digest())


RECEIVER = ReceiverKeys(pair(1), bytes(range(16)))
SUBSCRIPTION = PushSubscription(ENDPOINT, RECEIVER.pair.public_bytes, RECEIVER.auth)


def push(plain: bytes) -> bytes:
    return encrypt_push(plain, SUBSCRIPTION, sender=pair(2), salt=SALT)


def test_the_vector_of_the_rfc_is_made_and_read() -> None:
    body = b64(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6"
        "cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    sender = KeyPair.from_private_bytes(b64("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
    receiver = ReceiverKeys(KeyPair.from_private_bytes(b64("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")), b64("BTBZMqHH6r4Tts7J_aSIgg"))
    point = b64("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
    assert receiver.pair.public_bytes == point
    plain = b"When I grow up, I want to be a watermelon"
    assert decrypt_push(body, receiver) == plain
    subscription = PushSubscription(ENDPOINT, point, receiver.auth)
    assert encrypt_push(plain, subscription, sender=sender, salt=b64("DGv6ra1nlYgDCS1FRnbzlw")) == body


@pytest.mark.parametrize("size", [0, 1, MAX_PLAINTEXT_BYTES - 1, MAX_PLAINTEXT_BYTES])
def test_a_push_of_up_to_3993_bytes_fits(size: int) -> None:
    body = push(b"x" * size)
    assert len(body) == 86 + size + 1 + 16 <= MAX_PUSH_BYTES
    assert decrypt_push(body, RECEIVER) == b"x" * size


def test_a_byte_more_is_refused_before_anything_is_sent() -> None:
    assert MAX_PLAINTEXT_BYTES == 3993
    with pytest.raises(LocalProtocolError, match="3993"):
        push(b"x" * (MAX_PLAINTEXT_BYTES + 1))


@given(st.binary(max_size=200))
@settings(max_examples=40)
def test_any_bytes_are_no_push_and_a_protocol_error(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decrypt_push(body, RECEIVER)


def test_a_push_of_more_than_4096_bytes_is_refused_unread() -> None:
    with pytest.raises(RemoteProtocolError, match="4097"):
        decrypt_push(bytes(MAX_PUSH_BYTES + 1), RECEIVER)


def test_a_push_for_somebody_else_is_refused() -> None:
    body = push(b"hello")
    for other in (ReceiverKeys(pair(3), RECEIVER.auth), ReceiverKeys(RECEIVER.pair, bytes(16))):
        with pytest.raises(RemoteProtocolError, match="decrypt"):
            decrypt_push(body, other)


def test_a_push_in_two_records_is_refused() -> None:
    content = Content.parse(push(b"hello"))
    two = encrypt_records(b"x" * 30, b"s" * 32, salt=SALT, record_size=40, key_id=content.key_id)
    with pytest.raises(RemoteProtocolError, match="more than one record"):
        decrypt_push(two.write(), RECEIVER)


@pytest.mark.parametrize("at", [0, 20, 21, 22, 86, -1])
def test_one_bit_that_changed_is_noticed(at: int) -> None:
    body = bytearray(push(b"hello"))
    body[at] ^= 1
    with pytest.raises(RemoteProtocolError):
        decrypt_push(bytes(body), RECEIVER)


def test_keys_keep_their_length_a_thousand_times() -> None:
    """Where the first byte is zero too: of so many pairs some have one."""
    zeros = 0
    for seed in range(1000):
        one = pair(seed)
        assert (len(one.private_bytes), len(one.public_bytes)) == (32, 65)
        assert KeyPair.from_private_bytes(one.private_bytes).public_bytes == one.public_bytes
        assert read_base64(write_base64(one.public_bytes), "key", size=65) == one.public_bytes
        zeros += 0 in (one.private_bytes[0], one.public_bytes[1], one.public_bytes[33])
    assert zeros


def test_a_point_off_the_curve_or_in_another_form_is_refused_by_name() -> None:
    point = bytearray(SUBSCRIPTION.p256dh)
    point[-1] ^= 1
    compressed = bytes([2 + SUBSCRIPTION.p256dh[-1] % 2]) + SUBSCRIPTION.p256dh[1:33]
    for odd in (bytes(point), compressed, b"", bytes(65), SUBSCRIPTION.p256dh + b"\0"):
        with pytest.raises(RemoteProtocolError, match="p256dh"):
            encrypt_push(b"x", PushSubscription(ENDPOINT, odd, RECEIVER.auth), sender=pair(2), salt=SALT)
    read_point(SUBSCRIPTION.p256dh, "p256dh")


@pytest.mark.parametrize("scalar", [b"", bytes(32), b"\xff" * 32, bytes(31)])
def test_what_is_no_private_key_is_refused(scalar: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        KeyPair.from_private_bytes(scalar)


def test_a_key_is_made_from_enough_random_bytes_or_not_at_all() -> None:
    with pytest.raises(LocalProtocolError, match="48"):
        KeyPair.from_random(bytes(32))
