"""Where a client reached us, which is where it will reach the broker too."""

from aiohttp import web

from sinchphone.exchange.refusals import invalid


def origin_of(request: web.Request, *, port: int | None = None) -> str:
    """``host:port`` of the request's Host header, or with another port. Raises RefusedError for a Host header that is none."""
    try:
        url = request.url
        host, given = url.raw_host, url.port
    except ValueError as error:
        raise invalid("Host: that is not a host") from error
    if not host or given is None:
        raise invalid("Host: that is not a host")
    return f"[{host}]:{port or given}" if ":" in host else f"{host}:{port or given}"


def bare(origin: str) -> str:
    """The origin without the port that https has anyway: legacy clients take ``name:443`` for a host's name."""
    return origin.removesuffix(":443")
