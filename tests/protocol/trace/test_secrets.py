"""Secrets become stars wherever they are: by name, by form, within each other; and whatever others write takes no long time."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.trace.secrets import STARS, is_secret_name, mask_body, mask_header, mask_sip, mask_text

FAKE = "FAKE-SECRET-FOR-TESTS"


@pytest.mark.parametrize(
    "body",
    [
        f'{{"password":"{FAKE}"}}',
        f'{{"instance":{{"secret":"{FAKE}"}}}}',
        f'{{"list":[{{"accessToken":"{FAKE}"}}]}}',
        f'{{"mxpEncryptionKey":"{FAKE}","publishKey":"{FAKE}"}}',
        f'{{"iceServers":[{{"urls":["turn:x"],"username":"ada","credential":"{FAKE}"}}]}}',
        f'{{"keys":{{"p256dh":"{FAKE}","auth":"{FAKE}"}}}}',
        json.dumps({"bd": json.dumps({"nested": json.dumps({"secret": FAKE})})}),
        json.dumps({"sdp": f"v=0\r\na=ice-pwd:{FAKE}\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{FAKE}|2^20\r\n"}),
        json.dumps({"sdp": json.dumps({"type": "offer", "sdp": f"v=0\r\na=ice-pwd:{FAKE}\r\n"})}),
        f"v=0\na=ice-pwd:{FAKE}\n",
        f"user=ada&password={FAKE}&x=1",
        f"https://backend.example/ice?token={FAKE}#x",
        f"https://ada:{FAKE}@backend.example/ice",
        f'{{"url":"https://ada:{FAKE}@backend.example/ice"}}',
        f'{{"user":"ada","password":"{FAKE}',  # cut short
        f'{{"text":"{{\\"secret\\":\\"{FAKE}\\"","cut":"sh',
        f"Authorization: Bearer {FAKE}.x.y",
        f"eyJhbGciOiJub25lIn0.eyJ4Ijoi{FAKE}In0.c2ln",
        f'{{"pin":"{FAKE}"}}',
    ],
)
def test_a_secret_in_a_body_becomes_stars(body: str) -> None:
    shown = mask_body(body)
    assert FAKE not in shown
    assert STARS in shown


@pytest.mark.parametrize(
    "name", ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Auth-Token", "x-api-key", "X-Signature"]
)
def test_a_secret_header_shows_no_more_than_its_scheme(name: str) -> None:
    assert mask_header(name, f"Bearer {FAKE}") == f"Bearer {STARS}"
    assert mask_header(name, FAKE) == STARS


@pytest.mark.parametrize(
    "line",
    [
        f'Authorization: Digest username="ada", realm="x", nonce="n", response="{FAKE}", cnonce="{FAKE}"',
        f'Proxy-Authorization: Digest username="ada", response={FAKE}',
        f"Authorization: Basic {FAKE}",
        f"Contact: <sip:ada:{FAKE}@192.0.2.1>",
        f"Identity: {FAKE};info=<https://x>",
        f"X-Session-Token: {FAKE}",
        f"X-Api-Key:\r\n {FAKE}",
        f"\r\na=ice-pwd:{FAKE}",
        f"\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{FAKE}",
    ],
)
def test_a_secret_in_a_sip_message_becomes_stars(line: str) -> None:
    shown = mask_sip(f"INVITE sip:bob@192.0.2.2 SIP/2.0\r\nCall-ID: abc\r\n{line}\r\n")
    assert FAKE not in shown
    assert "Call-ID: abc" in shown


def test_who_proves_something_stays_to_be_seen() -> None:
    shown = mask_sip(f'REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username="ada", realm="r", response="{FAKE}"\r\n\r\n')
    assert 'username="ada"' in shown


def test_what_is_no_secret_stays() -> None:
    body = '{"applicationKey":"acme","callId":"01ABC","to":{"identity":"bob"},"timetoken":"17"}'
    assert mask_body(body) == body
    assert mask_text("Basic things, Application acme, sip:bob@192.0.2.1:5060") == "Basic things, Application acme, sip:bob@192.0.2.1:5060"
    assert not is_secret_name("applicationKey")


@pytest.mark.parametrize(
    "piece",
    ['"', '\\"', "a", "sip:", "Basic ", "\\", "eyJaaaa.", 'a="', '"a":"', "http://a:", "[", '{"a":', " ", "\r\n a", "a=crypto:1 x inline:"],
)
def test_hostile_texts_are_looked_through_in_time_that_grows_with_their_length(piece: str) -> None:
    text = piece * (65_536 // len(piece))
    began = time.process_time()
    mask_body(text)
    mask_sip(f"x\r\n{text}")
    assert time.process_time() - began < 10  # quadratic ones take minutes


@given(st.text(max_size=200))
def test_any_text_can_be_masked(text: str) -> None:
    mask_body(text)
    mask_sip(text)
    mask_header(text, text)


@given(
    st.recursive(st.text(max_size=20), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3))
)
def test_json_stays_json(value: object) -> None:
    if isinstance(value, dict | list):
        json.loads(mask_body(json.dumps(value)))
