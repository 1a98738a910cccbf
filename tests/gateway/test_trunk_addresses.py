"""Where the trunk is, as DNS says it in the background."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sinchphone.errors import NetworkError
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.gateway.trunk import trunk_addresses
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.gateway.trunk.trunk_addresses import TrunkAddresses
from tests.waiting import until

LIMIT_S = 10.0


class Names:
    """A resolver: SRV names one server, the host itself has another address."""

    def __init__(self) -> None:
        self.servers: list[str] | None = ["192.0.2.1"]
        self.asked = 0
        self.answers = True

    async def resolve(self, host: str, port: int | None, transport: Any, *, secure: bool = False) -> list[Hop]:
        self.asked += 1
        if not self.answers:
            await asyncio.Event().wait()
        if self.servers is None:
            raise NetworkError("no name server")
        found = self.servers if port is None else ["192.0.2.9"]
        return [Hop(transport, address, 5060) for address in found]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def trunk(names: Names, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trunk]:
    monkeypatch.setattr(trunk_addresses, "REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(trunk_addresses, "RETRY_SECONDS", 0.01)
    trunk = Trunk(TrunkOptions(host="carrier.example"))
    asking = TrunkAddresses(trunk, names)  # type: ignore[arg-type]
    asking.start()
    yield trunk
    await asking.close()
    await asking.close()


async def test_calls_from_the_servers_and_the_host_of_its_domain_are_the_trunks(trunk: Trunk) -> None:
    await until(lambda: "192.0.2.1" in trunk)
    assert "192.0.2.9" in trunk
    assert "192.0.2.2" not in trunk


async def test_attack_nobody_calls_an_address_before_it_is_known_where_the_trunk_is(names: Names) -> None:
    trunk = Trunk(TrunkOptions(host="carrier.example"))
    asking = TrunkAddresses(trunk, names)  # type: ignore[arg-type]
    names.servers = None
    asking.start()
    assert not await asking.known(LIMIT_S)
    await asking.close()
    assert not await asking.known(0.01)
    names.servers = ["192.0.2.1"]
    asking.start()
    assert not trunk.is_found
    await until(lambda: trunk.is_found)
    assert await asking.known(0.0)
    await asking.close()
    assert await TrunkAddresses(Trunk(TrunkOptions(host="192.0.2.1"))).known(0.0)


async def test_a_trunk_that_moves_is_found_again_and_its_old_address_is_nobodys(trunk: Trunk, names: Names) -> None:
    await until(lambda: "192.0.2.1" in trunk)
    names.servers = ["192.0.2.2"]
    await until(lambda: "192.0.2.2" in trunk)
    assert "192.0.2.1" not in trunk


async def test_a_name_server_that_is_away_changes_nothing(trunk: Trunk, names: Names) -> None:
    await until(lambda: "192.0.2.1" in trunk)
    names.servers, asked = None, names.asked
    await until(lambda: names.asked > asked + 4)
    assert "192.0.2.9" in trunk


async def test_a_name_server_that_says_nothing_keeps_nobody_waiting(trunk: Trunk, names: Names) -> None:
    await until(lambda: "192.0.2.1" in trunk)
    names.answers, asked = False, names.asked
    await until(lambda: names.asked > asked)
    assert "192.0.2.9" in trunk
