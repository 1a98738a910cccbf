"""What ``doctor`` says of the network: which STUN and TURN servers can be used from here, and the NAT that they see."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from sinchphone.cli.doctor.finding import Finding
from sinchphone.cli.terminal.output.listings import CheckResult
from sinchphone.credentials import read_ice_servers
from sinchphone.errors import NotFoundError, SinchphoneError
from sinchphone.options import Options

if TYPE_CHECKING:
    from sinchphone.engine.client import SinchClient
    from sinchphone.media.ice_servers import IceServer
    from sinchphone.media.webrtc.ice.nat_probe import NetworkReport

NETWORK_CHECKS: Final = ("ice-servers", "nat")
_MORE: Final = "sinchphone help networks"


async def check_network(options: Options, client: "SinchClient") -> AsyncIterator[tuple[str, Finding]]:
    """The names of the checks and what they found."""
    servers_check, nat_check = NETWORK_CHECKS
    try:
        servers = await client.ice_servers()
    except NotFoundError:
        servers = ()
    except SinchphoneError as error:
        yield servers_check, Finding(CheckResult.WARNING, f"the platform names no STUN and TURN servers: {error}", error.hint or _MORE)
        yield nat_check, Finding(CheckResult.SKIPPED, "no STUN server to ask")
        return
    if not servers:
        yield servers_check, Finding(CheckResult.SKIPPED, "neither the platform nor [ice] names any")
        yield nat_check, Finding(CheckResult.SKIPPED, "no STUN server to ask")
        return
    async for found in _probed(options, servers):
        yield found


async def check_own_servers(options: Options) -> AsyncIterator[tuple[str, Finding]]:
    """The same of those of [ice] alone, where no platform is reached that may name more. Raises ConfigError."""
    servers = await asyncio.to_thread(read_ice_servers, options)
    if servers:
        async for found in _probed(options, servers):
            yield found
    else:
        for name in NETWORK_CHECKS:
            yield name, Finding(CheckResult.SKIPPED, "no platform to name servers")


async def _probed(options: Options, servers: "tuple[IceServer, ...]") -> AsyncIterator[tuple[str, Finding]]:
    from sinchphone.media.webrtc.ice.nat_probe import probe_network

    report = await probe_network(servers, options.ca_file)
    for name, finding in zip(NETWORK_CHECKS, (servers_finding(report), nat_finding(report)), strict=True):
        yield name, finding


def servers_finding(report: "NetworkReport") -> Finding:
    """Which of them can be used."""
    kinds = {True: "TURN", False: "STUN"}
    words = [f"{kinds[one.server.relay]} {one.server.name} {one.why_not or f'in {1000 * one.took_s:.0f} ms'}" for one in report.servers]
    if not words:
        return Finding(CheckResult.PROBLEM, "none of their URLs can be read", _MORE)
    relays = [one for one in report.servers if one.server.relay]
    if relays and all(one.why_not for one in relays):
        hint = "calls fail where a firewall needs a relay; look at the servers, their credentials and ca_file"
        return Finding(CheckResult.PROBLEM, "; ".join(words), f"{hint}: {_MORE}")
    failed = any(one.why_not for one in report.servers)
    return (
        Finding(CheckResult.WARNING, "; ".join(words), f"the others do: {_MORE}") if failed else Finding(CheckResult.OK, "; ".join(words))
    )


def nat_finding(report: "NetworkReport") -> Finding:
    """What kind of NAT there is, and whether it needs a relay that isn't there."""
    from sinchphone.media.webrtc.ice.nat_probe import NatKind

    relayed = any(one.server.relay and not one.why_not for one in report.servers)
    words = f"{report.nat.value}, seen as {', '.join(report.seen_as)}" if report.seen_as else report.nat.value
    match report.nat:
        case NatKind.UNTRIED:
            return Finding(CheckResult.SKIPPED, "no server that is asked over UDP")
        case NatKind.BLOCKED:
            return _by_need(f"{words}, or none of the servers answers", relayed, "let UDP out, or name a TURN server over TCP or TLS")
        case NatKind.SYMMETRIC:
            return _by_need(words, relayed, "calls to others behind such a NAT need a TURN server")
        case NatKind.NONE | NatKind.SAME_MAPPING | NatKind.UNKNOWN:
            return Finding(CheckResult.OK, words)


def _by_need(words: str, relayed: bool, hint: str) -> Finding:
    if relayed:
        return Finding(CheckResult.OK, f"{words}; calls go through a TURN server")
    return Finding(CheckResult.WARNING, words, f"{hint}: {_MORE}")
