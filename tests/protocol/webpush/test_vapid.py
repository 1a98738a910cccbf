"""How a sender says who it is, and what doesn't prove it."""

import hashlib

import jwt
import pytest

from sinchphone.errors import ConfigError, RemoteProtocolError
from sinchphone.protocol.webpush.contact import check_subject
from sinchphone.protocol.webpush.keys import KeyPair, read_base64, write_base64
from sinchphone.protocol.webpush.vapid import LIFETIME_S, MAX_LIFETIME_S, origin_of_endpoint, read_vapid, write_vapid

NOW = 1_900_000_000.0
AUDIENCE = "https://push.example:8443"
ENDPOINT = "https://push.example:8443/wpush/v2/abc"
US = KeyPair.from_random(hashlib.sha384(b"us").digest())
OTHER = KeyPair.from_random(hashlib.sha384(b"other").digest())
SUBJECT = "mailto:ops@example.org"
HEADER = write_vapid(US, ENDPOINT, SUBJECT, NOW)


def test_what_we_say_is_read_again() -> None:
    sender = read_vapid(HEADER, ENDPOINT, NOW)
    assert (sender.key, sender.subject) == (US.public_bytes, SUBJECT)


def test_another_reader_of_tokens_takes_ours() -> None:
    token = HEADER.removeprefix("vapid t=").partition(",")[0]
    claims = jwt.decode(token, US.private.public_key(), algorithms=["ES256"], audience=AUDIENCE, options={"verify_exp": False})
    assert claims == {"aud": AUDIENCE, "exp": int(NOW + LIFETIME_S), "sub": SUBJECT}


def test_tokens_that_others_write_are_read() -> None:
    token = jwt.encode({"aud": AUDIENCE, "exp": NOW + 60, "sub": SUBJECT}, US.private, "ES256")
    key = write_base64(US.public_bytes)
    for header in (f"vapid t={token}, k={key}", f"vapid k={key},t={token}", f"Vapid  t={token} , k={key}="):
        assert read_vapid(header, ENDPOINT, NOW).key == US.public_bytes


def token_of(pair: KeyPair, **claims: object) -> str:
    whole = {"aud": AUDIENCE, "exp": NOW + 60, **claims}
    return f"vapid t={jwt.encode(whole, pair.private, 'ES256')}, k={write_base64(US.public_bytes)}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer abc",
        "vapid",
        "vapid t=a.b.c",
        "vapid k=abc, t=a.b.c",
        HEADER.replace("vapid", "WebPush"),
        HEADER[:-4],
        HEADER.replace("t=", "t=x"),
        "vapid " + "x" * 5000,
        token_of(OTHER),
        token_of(US, aud="https://elsewhere.example"),
        token_of(US, aud=[AUDIENCE]),
        token_of(US, exp=NOW - 61),
        token_of(US, exp=NOW + MAX_LIFETIME_S + 61),
    ],
)
def test_what_does_not_prove_the_sender_is_refused(header: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_vapid(header, ENDPOINT, NOW)


def test_a_token_without_an_end_or_unsigned_is_refused() -> None:
    key = write_base64(US.public_bytes)
    for claims, algorithm in (
        ({"aud": AUDIENCE}, "ES256"),
        ({"aud": AUDIENCE, "exp": True}, "ES256"),
    ):
        with pytest.raises(RemoteProtocolError):
            read_vapid(f"vapid t={jwt.encode(claims, US.private, algorithm)}, k={key}", ENDPOINT, NOW)
    unsigned = jwt.encode({"aud": AUDIENCE, "exp": NOW + 60}, "", "none")
    with pytest.raises(RemoteProtocolError):
        read_vapid(f"vapid t={unsigned}, k={key}", ENDPOINT, NOW)


def test_the_same_push_is_signed_alike() -> None:
    """Nothing random is taken from anywhere."""
    assert write_vapid(US, ENDPOINT, SUBJECT, NOW) == HEADER
    assert len(read_base64(HEADER.partition(" k=")[2], "k")) == 65


@pytest.mark.parametrize("subject", ["mailto:ops@example.org", "https://example.org/contact", "HTTPS://Example.org"])
def test_a_contact_that_push_services_take_is_taken(subject: str) -> None:
    check_subject(subject)


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "me@x",
        "ops@example.org",
        "mailto:",
        "mailto:me@x",
        "http://example.org",
        "https://localhost",
        "https://127.0.0.1/x",
        "mailto:a b@c.d",
    ],
)
def test_a_contact_that_some_push_service_refuses_is_refused_at_the_start(subject: str) -> None:
    with pytest.raises(ConfigError):
        check_subject(subject)


def test_the_origin_is_what_a_token_is_for() -> None:
    assert origin_of_endpoint("https://Push.Example:8443/wpush/v2/x?y") == AUDIENCE
    assert origin_of_endpoint("http://u:p@127.0.0.1:46000/a") == "http://127.0.0.1:46000"


def test_a_token_with_half_a_character_is_refused_like_any_other_that_is_none() -> None:
    """As HTTP servers hand on bytes that aren't UTF-8."""
    with pytest.raises(RemoteProtocolError):
        read_vapid(HEADER.replace("vapid t=", "vapid t=\udc80"), ENDPOINT, NOW)
