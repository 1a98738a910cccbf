"""The STUN and TURN servers that an exchange tells phones of, from its own configuration."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.exchange.ocra.ice_servers import ice_servers_for
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.signaling.dialect import OfferedIceServer
from sinchphone.signaling.ocra.calls import read_ice_servers
from sinchphone.signaling.ocra.names import OcraOperation

MakePhone = Callable[..., Any]
StartExchange = Callable[..., Any]
URLS = ("stun:192.0.2.1", "turn:192.0.2.1?transport=udp", "turns:relay.example")


def test_nothing_configured_is_no_server() -> None:
    assert ice_servers_for(ExchangeOptions(), "ada", 1000.0) == ()


def test_a_user_name_goes_with_its_password_and_never_with_a_stun_server() -> None:
    options = ExchangeOptions(ice_servers=URLS, ice_username="u", ice_secret="p")
    assert ice_servers_for(options, "ada", 1000.0) == (OfferedIceServer(URLS[:1]), OfferedIceServer(URLS[1:], "u", "p"))


def test_a_shared_secret_makes_a_name_of_the_user_that_expires() -> None:
    options = ExchangeOptions(ice_servers=URLS, ice_secret="north", ice_seconds=60)
    _, relay = ice_servers_for(options, "ada", 1000.9)
    password = base64.b64encode(hmac.new(b"north", b"1060:ada", hashlib.sha1).digest()).decode()
    assert relay == OfferedIceServer(URLS[1:], "1060:ada", password, 1060.0)


async def test_a_phone_asks_and_is_told(start_exchange: StartExchange, phone: MakePhone) -> None:
    exchange = await start_exchange(ice_servers=URLS, ice_secret="north", ice_seconds=60)
    ada = await phone("ada", url=exchange.url).registered()
    answer = (await ada.ask(OcraOperation.GET_ICE_SERVERS)).body
    assert answer["iceServers"][0] == {"urls": ["stun:192.0.2.1"], "credentialType": "password"}
    relay = answer["iceServers"][1]
    assert relay["urls"] == list(URLS[1:])
    assert relay["username"].endswith(":ada")
    assert (await ada.ask(OcraOperation.GET_FEATURES)).body["WebRtc.UseTurn"] is True
    assert ada.config["iceTransportPolicy"] == "all"


async def test_a_phone_is_told_to_call_by_relays_only(start_exchange: StartExchange, phone: MakePhone) -> None:
    exchange = await start_exchange(ice_servers=URLS, ice_secret="north", ice_relay_only=True)
    assert (await phone("ada", url=exchange.url).registered()).config["iceTransportPolicy"] == "relay"


@pytest.mark.parametrize("odd", ['{"urls": 7}', '{"urls": ["a"], "validUntil": "soon"}', '{"urls": ["a"], "username": []}'])
def test_a_server_that_makes_no_sense_does_not_cost_the_others(odd: str) -> None:
    body = f'{{"iceServers": [{odd}, {{"urls": "turn:h", "username": "u", "credential": "p"}}]}}'.encode()
    assert read_ice_servers(body) == (OfferedIceServer(("turn:h",), "u", "p"),)


def test_secrets_are_not_shown() -> None:
    options = ExchangeOptions(ice_servers=URLS, ice_secret="hush-hush")
    assert "hush-hush" not in repr(options)
    assert str(ice_servers_for(options, "ada", 1.0)[1].password) not in repr(ice_servers_for(options, "ada", 1.0))
