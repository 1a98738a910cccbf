"""Flow tokens: only who wrote them reads them."""

import pytest

from sinchphone.protocol.sip.flow_token import MAX_TOKEN_CHARACTERS, FlowEnd, FlowToken, open_token, seal
from sinchphone.protocol.sip.uri import SipUri, parse_uri

SECRET, OTHERS = b"s" * 32, b"t" * 32
PHONE = FlowEnd("tcp", "2001:db8::7", 50123, 41)
CALLER = FlowEnd("udp", "192.0.2.9", 5060)
TOKENS = [FlowToken(PHONE), FlowToken(PHONE, CALLER), FlowToken(CALLER, PHONE, from_phone=True)]


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_comes_back_from_the_user_part_of_a_uri(token: FlowToken) -> None:
    uri = SipUri("sip", seal(token, SECRET), "192.0.2.1", 5060, (("lr", None),))
    assert open_token(parse_uri(str(uri)).user or "", SECRET) == token


@pytest.mark.parametrize("token", TOKENS)
def test_nobody_without_the_secret_writes_one_or_changes_a_character_of_one(token: FlowToken) -> None:
    text = seal(token, SECRET)
    assert open_token(seal(token, OTHERS), SECRET) is None
    for place in range(len(text)):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert open_token(changed, SECRET) in (None, token)  # the last character's unused bits say nothing
        assert place == len(text) - 1 or open_token(changed, SECRET) is None


@pytest.mark.parametrize("text", ["", "a", "bob", "****", "ä" * 40, "A" * MAX_TOKEN_CHARACTERS, "A" * (MAX_TOKEN_CHARACTERS + 4)])
def test_what_is_no_token_is_none(text: str) -> None:
    assert open_token(text, SECRET) is None
