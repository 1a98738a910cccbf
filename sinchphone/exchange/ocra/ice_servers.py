"""Which STUN and TURN servers an exchange tells a phone of, and under which names its TURN servers let that phone in.

A configured user name goes with its password. Without one the secret is shared with the TURN servers (coturn: ``use-auth-secret``), and a
name is made for each question: ``EXPIRY:USER``, its password base64(HMAC-SHA1(secret, name)) (draft-uberti-behave-turn-rest-00 2.2).
"""

import base64
import hmac

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.ice_urls import parse_ice_url
from sinchphone.signaling.dialect import OfferedIceServer


def ice_servers_for(options: ExchangeOptions, user_id: str, now: float) -> tuple[OfferedIceServer, ...]:
    """The servers for a call of that user that begins now."""
    parsed = {url: parse_ice_url(url) for url in options.ice_servers}
    plain = tuple(url for url, found in parsed.items() if found is not None and not found.relay)
    relays = tuple(url for url, found in parsed.items() if found is not None and found.relay)
    servers = [OfferedIceServer(plain)] if plain else []
    if relays:
        servers.append(_let_in(options, relays, user_id, now))
    return tuple(servers)


def _let_in(options: ExchangeOptions, urls: tuple[str, ...], user_id: str, now: float) -> OfferedIceServer:
    secret = options.ice_secret
    if secret is None or options.ice_username is not None:
        return OfferedIceServer(urls, options.ice_username, secret)
    until = int(now) + options.ice_seconds
    name = f"{until}:{user_id}"
    password = base64.b64encode(hmac.digest(secret.encode(), name.encode(), "sha1")).decode()
    return OfferedIceServer(urls, name, password, float(until))
