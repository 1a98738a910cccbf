"""What the doctor says of servers and NATs."""

from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.doctor.network_checks import check_own_servers, nat_finding, servers_finding
from sinchphone.media.webrtc.ice import nat_probe
from sinchphone.media.webrtc.ice.nat_probe import NatKind, NetworkReport, ServerReport
from sinchphone.media.webrtc.ice.servers import Server
from sinchphone.options import IceSection, Options

STUN = Server("s.example", 3478, relay=False)
TURN = Server("t.example", 5349, True, "tcp", True, "ada", "hush-hush")


def report(nat: NatKind, *servers: tuple[Server, str]) -> NetworkReport:
    return NetworkReport(tuple(ServerReport(server, why, 0.012) for server, why in servers), nat, ("198.51.100.7",))


def test_servers_that_work_are_told_with_their_times() -> None:
    found = servers_finding(report(NatKind.NONE, (STUN, ""), (TURN, "")))
    assert (found.result, found.summary) == ("ok", "STUN s.example over UDP in 12 ms; TURN t.example over TLS in 12 ms")


def test_one_that_does_not_is_a_warning_and_no_relay_at_all_a_problem() -> None:
    assert servers_finding(report(NatKind.NONE, (STUN, "didn't answer"), (TURN, ""))).result == "warning"
    lost = servers_finding(report(NatKind.NONE, (STUN, ""), (TURN, "refused the credentials")))
    assert lost.result == "problem"
    assert "TURN t.example over TLS refused the credentials" in lost.summary
    assert "hush-hush" not in f"{lost}"


@pytest.mark.parametrize(
    ("nat", "why", "result"),
    [
        (NatKind.NONE, "didn't answer", "ok"),
        (NatKind.SAME_MAPPING, "didn't answer", "ok"),
        (NatKind.SYMMETRIC, "", "ok"),
        (NatKind.SYMMETRIC, "didn't answer", "warning"),
        (NatKind.BLOCKED, "", "ok"),
        (NatKind.BLOCKED, "didn't answer", "warning"),
        (NatKind.UNTRIED, "", "skipped"),
    ],
)
def test_a_nat_is_a_warning_where_it_needs_a_relay_that_is_not_there(nat: NatKind, why: str, result: str) -> None:
    assert nat_finding(report(nat, (TURN, why))).result == result


async def test_servers_are_asked_with_the_authorities_that_calls_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def probe(servers: Any, ca_file: Path | None) -> NetworkReport:
        asked.append(ca_file)
        return report(NatKind.NONE, (TURN, ""))

    monkeypatch.setattr(nat_probe, "probe_network", probe)
    options = Options(ca_file=Path("ca.pem"), ice=IceSection(servers=("turns:t.example",), username="ada", credential="hush-hush"))
    assert [found.result async for _, found in check_own_servers(options)] == ["ok", "ok"]
    assert asked == [Path("ca.pem")]
