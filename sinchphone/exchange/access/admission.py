"""Whom the exchange listens to at all: requests to a name that is its own, and new users from pages of this machine.

A page from anywhere can have a browser send requests here. Under a name that its owner points at 127.0.0.1 it could read the answers
(DNS rebinding), so an exchange of one machine is asked by the names of that machine only.
"""

import ipaddress
import socket
from functools import lru_cache

from aiohttp import web
from yarl import URL

from sinchphone.exchange.refusals import forbidden
from sinchphone.hosts import unbracketed


@lru_cache(256)  # every request asks for the same few
def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own for itself alone."""
    name = unbracketed(host).partition("%")[0].rstrip(".").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def check_host(request: web.Request, listening: str) -> None:
    """Raises RefusedError where an exchange that listens on loopback only is asked by a name that isn't this machine's."""
    if not is_loopback(listening):
        return
    host = _host_of(f"//{request.host}")
    if host is None or not (is_loopback(host) or host.lower() in (listening.lower(), socket.gethostname().lower())):
        raise forbidden("Host: that is not a name of this exchange")


def check_own_host(request: web.Request, listening: str) -> None:
    """Wherever the exchange listens: a name that its owner may point here (DNS rebinding) is refused, an address can't be. Raises
    RefusedError where the request is for neither an address, nor a name of this machine."""
    host = _host_of(f"//{request.host}")
    if host is None or not (_is_address(host) or is_loopback(host) or host.lower() in (listening.lower(), socket.gethostname().lower())):
        raise forbidden("Host: that is not a name of this exchange")


def check_own_page(request: web.Request) -> None:
    """Raises RefusedError for a request that a browser sends for any page but one of this exchange (Fetch, Sec-Fetch-Site)."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() not in (f"http://{request.host}".lower(), f"https://{request.host}".lower()):
        raise forbidden("Origin: this is for no page from elsewhere")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise forbidden("Sec-Fetch-Site: this is for no page from elsewhere")


def check_origin(request: web.Request) -> None:
    """For what the application's key alone allows, which any page may know. Raises RefusedError for a page from elsewhere."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    page, host = _host_of(origin), _host_of(f"//{request.host}")
    if page is None or not (is_loopback(page) or page == host):
        raise forbidden("Origin: pages from elsewhere don't make users here, nor log them in")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(unbracketed(host).partition("%")[0])
    except ValueError:
        return False
    return True


def _host_of(text: str) -> str | None:
    try:
        return URL(text).host
    except ValueError:
        return None
