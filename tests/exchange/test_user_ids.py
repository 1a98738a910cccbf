"""User ids: those that a token can name, and those that the platform can have."""

import time
from typing import Any

import pytest

from sinchphone.cli.addressing.destination import read_destination, user_id
from sinchphone.engine.messages.recipients import read_recipient
from sinchphone.errors import AuthenticationError, ConfigError, DestinationError
from sinchphone.gateway.routing.rules import read_target
from sinchphone.options import KEYS
from sinchphone.protocol.auth import sign_registration_token, sign_user_ticket, verify_user_ticket
from sinchphone.protocol.names import is_token_user_id, is_user_id

WIDE = ["ann.smith", "jörg", "ann smith", "a/b", "Ада", "a:b", "ann+1", "小明"]
NOBODY = ["", " ", " ann", "ann ", "a\nb", "a\x00b", "x" * 256, "ö" * 128, "\ud800"]


@pytest.mark.parametrize("name", WIDE)
def test_who_may_be_called_and_written_to_may_have_any_id_of_the_platform(name: str) -> None:
    assert is_user_id(name)
    assert user_id(name) == name
    with pytest.raises(DestinationError) as error:  # it might be anything
        read_destination(name if ":" not in name else "a b")
    assert "call-user" in error.value.hint
    assert read_recipient(name).identity == name
    assert read_target(f"user:{name}").name == name
    assert KEYS["user"].read(name) == name


@pytest.mark.parametrize("name", WIDE)
def test_a_token_for_such_an_id_says_why_it_can_not_be(name: str) -> None:
    assert not is_token_user_id(name)
    with pytest.raises(ConfigError, match="A-Z a-z 0-9") as error:
        sign_registration_token("key", b"secret", name, issued_at=0, nonce="1")
    assert "papi" in error.value.hint


@pytest.mark.parametrize("name", WIDE)
def test_a_ticket_for_such_an_id_is_good(name: str) -> None:
    now = time.time()
    ticket = sign_user_ticket("key", b"secret", name, created_at=now)
    assert verify_user_ticket(ticket, application_key="key", secret=b"secret", now=now).user_id == name


@pytest.mark.parametrize("name", NOBODY)
def test_what_can_be_nobodys_id_is_refused_everywhere(name: str) -> None:
    assert not is_user_id(name)
    assert not is_token_user_id(name)
    with pytest.raises(DestinationError):
        user_id(name)
    with pytest.raises(AuthenticationError):
        verify_user_ticket(sign_user_ticket("key", b"s", name, created_at=1.0), application_key="key", secret=b"s", now=1.0)


async def test_a_user_with_a_wide_id_is_called_and_written_to(legacy: Any) -> None:
    jörg, ada = await legacy("jörg smith").started(), await legacy("ada").started()
    _, token = await jörg.poll()
    assert (await ada.call("jörg smith")).status == 200
    frame = await ada.write_to("jörg smith")
    came, token = await jörg.poll(token)
    while frame not in came:
        came, token = await jörg.poll(token)
