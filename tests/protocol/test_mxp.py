"""MXP messages: JSON, encryption, clients and failures."""

import base64
import contextlib
import json

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import example, given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.mxp.message import (
    MAX_FAILURE_CHARACTERS,
    MAX_PAYLOAD_BYTES,
    BodyType,
    CallFailure,
    Client,
    Message,
    Method,
    decode_client,
    decode_failure,
    decrypt,
    encode_client,
    encode_failure,
    encrypt,
    from_json,
    to_json,
)

KEY = bytes(range(32))
IV = bytes(range(16))
ALICE = Client("alice", "inst-a", "sig-a", "linux", "", "+46700000001")

texts = st.text(max_size=60)
clients = st.builds(Client, texts, texts, texts, texts, texts, texts)
body_types = st.sampled_from(list(BodyType)) | st.text(min_size=1, max_size=20)
messages = st.builds(Message, st.sampled_from(list(Method)), clients, body_types, texts, st.dictionaries(texts, texts, max_size=6))
keys = st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def seal(text: bytes, key: bytes = KEY) -> str:
    """A payload of any plaintext, as a peer could make it."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(IV)).encryptor()
    return base64.b64encode(IV + encryptor.update(padder.update(text) + padder.finalize()) + encryptor.finalize()).decode()


@given(messages)
def test_a_message_comes_back_from_its_json(message: Message) -> None:
    assert from_json(to_json(message)) == message


@given(messages, keys, st.binary(min_size=16, max_size=16))
def test_a_message_comes_back_from_its_ciphertext(message: Message, key: bytes, iv: bytes) -> None:
    assert decrypt(encrypt(message, key, iv), key) == message


@given(messages)
def test_text_beyond_the_basic_plane_survives(message: Message) -> None:
    spoken = Message(message.method, message.sender, BodyType.TEXT, message.body + "🦊 jörg 日本", {"ph": "☎️"})
    assert decrypt(encrypt(spoken, KEY, IV), KEY) == spoken


def test_json_has_the_members_of_the_protocol() -> None:
    message = Message(Method.PEER_EVENT, ALICE, BodyType.SDP, "{}", {"to": "inst-b"})
    assert json.loads(to_json(message)) == {
        "md": 10,
        "bv": 10,
        "bt": "sdp",
        "bd": "{}",
        "fu": "alice",
        "fi": "inst-a",
        "fsi": "",
        "fd": "linux",
        "fs": "sig-a",
        "fc": "+46700000001",
        "nvps": {"to": "inst-b"},
    }


def test_text_that_is_not_ascii_is_not_escaped() -> None:
    assert "jörg" in to_json(Message(Method.LEAVE, Client("jörg", "i", "c")))


def test_a_payload_of_a_megabyte_is_refused_unread() -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        decrypt(seal(b'{"md":5}' + b" " * 200_000), KEY)
    with pytest.raises(RemoteProtocolError, match="too long"):
        from_json('{"md":5' + " " * 1_000_000 + "}")


def test_a_message_without_a_body_has_neither_type_nor_body() -> None:
    assert not {"bt", "bd"} & json.loads(to_json(Message(Method.LEAVE, ALICE))).keys()


@pytest.mark.parametrize("body", [{}, {"bt": None, "bd": None}, {"bt": "null", "bd": ""}, {"bt": ""}])
def test_absent_and_null_bodies_are_no_body(body: dict[str, str | None]) -> None:
    message = from_json(json.dumps({"md": 5, "fi": "i", "fs": "c", **body}))
    assert (message.body_type, message.body) == (BodyType.NONE, "")


def test_a_join_with_a_null_body_keeps_its_type() -> None:
    assert from_json('{"md":3,"bt":"sdp","bd":null}').body_type == BodyType.SDP


def test_unknown_members_and_body_types_are_no_obstacle() -> None:
    message = from_json('{"md":2,"bt":"video/9","bd":"x","new":{"a":[1]},"fi":"i"}')
    assert message == Message(Method.ACK, Client("", "i", ""), "video/9", "x")


def test_text_around_the_braces_is_ignored() -> None:
    assert from_json('\0\ufeff{"md":7}\0\0').method is Method.CANCEL


def test_numbers_and_truth_values_are_read_as_text() -> None:
    message = from_json('{"md":1,"fsi":650223357,"nvps":{"nomedia":true,"earlymedia":false,"n":5,"gone":null}}')
    assert message.sender.sub_instance == "650223357"
    assert message.headers == {"nomedia": "yes", "earlymedia": "no", "n": "5"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"md":',
        '{"md":"2"}',
        '{"md":true}',
        '{"md":11}',
        '{"md":-1}',
        '{"md":2.0}',
        '{"md":2,"bd":{}}',
        '{"md":2,"nvps":[]}',
        '{"md":2,"nvps":{"to":{}}}',
        '{"md":2,"fu":["alice"]}',
        '{"md":2,"fu":"\\ud800"}',
        '{"md":2,"nvps":{"\\udfff":"x"}}',
        '{"md":' + "[" * 100_000 + "}",
        '{"md":' + "9" * 10_000 + "}",
    ],
)
def test_json_that_is_no_message_is_the_peers_fault(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        from_json(text)


def test_oversized_ids_and_too_many_headers_are_refused() -> None:
    for fields in ({"fu": "x" * 1025}, {"fs": "x" * 1025}, {"nvps": {str(n): "" for n in range(65)}}, {"nvps": {"x" * 1025: ""}}):
        with pytest.raises(RemoteProtocolError):
            from_json(json.dumps({"md": 1, **fields}))


def test_a_message_that_no_receiver_would_read_is_not_sent() -> None:
    for message in (
        Message(Method.LEAVE, Client("x" * 1025, "i", "c")),
        Message(Method.LEAVE, ALICE, BodyType.TEXT, "\ud800"),
        Message(Method.LEAVE, ALICE, headers={str(n): "" for n in range(65)}),
    ):
        with pytest.raises(LocalProtocolError):
            to_json(message)
    with pytest.raises(LocalProtocolError):
        encrypt(Message(Method.LEAVE, ALICE, BodyType.TEXT, "x" * MAX_PAYLOAD_BYTES), KEY, IV)


@given(st.text() | st.binary(max_size=200).map(lambda sealed: base64.b64encode(sealed).decode()))
@example("")
@example("é")
@example("A" * (MAX_PAYLOAD_BYTES + 4))
def test_any_payload_is_a_message_or_the_peers_fault(payload: str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(decrypt(payload, KEY), Message)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_plaintext_is_a_message_or_the_peers_fault(plaintext: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(decrypt(seal(plaintext), KEY), Message)


@given(st.dictionaries(st.sampled_from(["md", "bt", "bd", "bv", "fu", "fi", "fs", "nvps"]), json_values), st.integers(0, 10))
def test_any_json_object_is_a_message_that_can_be_sent_on_or_the_peers_fault(fields: dict[str, object], method: int) -> None:
    try:
        message = from_json(json.dumps({"md": method} | fields))
    except RemoteProtocolError:
        return
    assert from_json(to_json(message)) == message


def test_a_message_for_another_key_does_not_decrypt() -> None:
    payload = encrypt(Message(Method.LEAVE, ALICE), KEY, IV)
    for last in range(64):  # some of these keys give valid padding by chance
        with pytest.raises(RemoteProtocolError):
            decrypt(payload, bytes([last + 100]) * 32)


def test_a_tampered_iv_or_a_payload_cut_short_is_never_another_error() -> None:
    payload = encrypt(Message(Method.LEAVE, ALICE), KEY, IV)
    for cut in (0, 1, 4, 16, 24, 40, len(payload) - 4, len(payload) - 24):
        with pytest.raises(RemoteProtocolError):
            decrypt(payload[:cut], KEY)
    with pytest.raises(RemoteProtocolError):
        decrypt("////" + payload[4:], KEY)


@pytest.mark.parametrize("size", [0, 15, 17, 24, 31, 33])
def test_keys_of_an_odd_size_are_our_fault(size: int) -> None:
    with pytest.raises(LocalProtocolError):
        encrypt(Message(Method.LEAVE, ALICE), bytes(size), IV)
    with pytest.raises(LocalProtocolError):
        decrypt(seal(b"{}"), bytes(size))


def test_ivs_of_an_odd_size_are_our_fault() -> None:
    with pytest.raises(LocalProtocolError):
        encrypt(Message(Method.LEAVE, ALICE), KEY, bytes(15))


def test_session_keys_bodies_and_numbers_are_not_in_the_repr() -> None:
    message = Message(Method.INVITE, ALICE, BodyType.MEDIA, "v=0 body", {"key": "c2VjcmV0"})
    assert not any(secret in repr(message) for secret in ("v=0", "c2VjcmV0", "+467"))


@pytest.mark.parametrize(
    ("to", "instance", "addressed"),
    [
        (None, "a", True),
        ("", "a", True),
        ("a", "a", True),
        ("a:1", "a", True),
        ("a", "a:1", True),
        ("a:1", "a:1", True),
        ("a:", "a", True),
        ("a:1", "a:2", False),
        ("b", "a", False),
        ("ab", "a", False),
        ("b:1", "a:1", False),
    ],
)
def test_a_message_is_for_its_addressee_or_for_everyone(to: str | None, instance: str, addressed: bool) -> None:
    message = Message(Method.LEAVE, ALICE, headers={} if to is None else {"to": to})
    assert message.is_addressed_to(instance) is addressed
    assert message.addressee == (to or None)


@given(clients)
def test_a_client_comes_back_from_its_text(client: Client) -> None:
    assert decode_client(encode_client(client)) == client


def test_a_client_of_the_old_dialect_is_read() -> None:
    assert decode_client('{"fc":"","fd":"e9","fi":"e9:152","fs":"s-43","fu":"bob"}') == Client("bob", "e9:152", "s-43", "e9")


@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_a_client_or_the_peers_fault(text: str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(decode_client(text), Client)


@given(st.none() | st.integers(-(2**31), 2**31 - 1), st.text(max_size=8), st.text(max_size=4))
def test_a_short_failure_comes_back_from_its_text(code: int | None, message: str, domain: str) -> None:
    failure = CallFailure(code, message, domain)
    assert decode_failure(encode_failure(failure)) == failure


@given(st.none() | st.integers(), st.text(alphabet=st.characters()), st.text(alphabet=st.characters()))
@example(-(2**31), "\x01" * 1000, "\x01" * 1000)
@example(3002, '"' * 10_000, "\\" * 100)
@example(2**70, "\ud800" * 300, "x")
def test_a_failure_never_takes_more_than_its_256_characters(code: int | None, message: str, domain: str) -> None:
    text = encode_failure(CallFailure(code, message, domain))
    assert len(text) <= MAX_FAILURE_CHARACTERS
    text.encode()
    assert message.encode(errors="replace").decode().startswith(decode_failure(text).message)


@given(st.text(alphabet=st.characters()) | json_values.map(json.dumps))
@example("[" * 100_000)
@example("x" * (MAX_PAYLOAD_BYTES + 1))
def test_any_text_is_a_failure_of_limited_size(text: str) -> None:
    failure = decode_failure(text)
    assert len(failure.message) <= MAX_FAILURE_CHARACTERS
    assert len(failure.domain) <= 32
    (failure.message + failure.domain).encode()


def test_a_failure_has_the_headers_of_the_answer_that_refused_the_call() -> None:
    failure = CallFailure(486, "Busy", "sip", {"x-queue": "7", "x-agent": "none"})
    assert decode_failure(encode_failure(failure)) == failure


def test_headers_that_do_not_fit_are_left_out_and_the_words_stay() -> None:
    failure = decode_failure(encode_failure(CallFailure(486, "Busy", "sip", {"x-long": "y" * 300, "x-short": "7"})))
    assert (failure.message, failure.headers) == ("Busy", {"x-short": "7"})


@given(st.dictionaries(st.text(alphabet=st.characters(), max_size=40), st.text(alphabet=st.characters(), max_size=200), max_size=20))
def test_a_failure_with_headers_never_takes_more_than_its_256_characters(headers: dict[str, str]) -> None:
    text = encode_failure(CallFailure(486, "Busy", "sip", headers))
    assert len(text) <= MAX_FAILURE_CHARACTERS
    text.encode()
    told = decode_failure(text)
    assert told.message == "Busy"
    sent = {(name.encode(errors="replace").decode(), value.encode(errors="replace").decode()) for name, value in headers.items()}
    assert set(told.headers.items()) <= sent


@pytest.mark.parametrize("headers", [7, ["x-a"], {"x-a": 7}, {"x-a": "y" * 10_000}])
def test_attack_headers_of_a_failure_that_are_none_are_left_out(headers: object) -> None:
    assert decode_failure(json.dumps({"code": 486, "message": "m", "headers": headers})).headers == {}


def test_a_long_failure_keeps_as_much_of_its_message_as_fits() -> None:
    text = encode_failure(CallFailure(3002, "no way " * 100))
    assert MAX_FAILURE_CHARACTERS - 12 < len(text) <= MAX_FAILURE_CHARACTERS


@pytest.mark.parametrize("code", [None, 2**31])
def test_a_failure_without_a_code_that_can_be_told_has_the_one_that_says_nothing(code: int | None) -> None:
    assert json.loads(encode_failure(CallFailure(code, "m"))) == {"code": 1, "message": "m", "reason": "m"}
    assert decode_failure(encode_failure(CallFailure(code, "m"))) == CallFailure(None, "m")


def test_failures_are_read_in_both_spellings() -> None:
    assert decode_failure('{"code":"603","reason":"Declined"}') == CallFailure(603, "Declined")
    assert decode_failure('{"code":3002,"message":"ICE failed to connect","domain":"mxp"}') == CallFailure(
        3002, "ICE failed to connect", "mxp"
    )
    assert decode_failure('{"code":1,"domain":4,"message":"m"}').domain == "4"


def test_a_plain_text_is_the_failures_message() -> None:
    assert decode_failure("no route") == CallFailure(None, "no route")
