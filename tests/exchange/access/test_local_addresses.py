"""What the kernel takes for this machine."""

import pytest

from sinchphone.exchange.access.local_addresses import is_this_machine, local_address


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "0.0.0.0", "0", "127.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:0:0"])
def test_what_leads_to_this_machine_is_this_machine(address: str) -> None:
    assert is_this_machine(address)


def test_an_own_address_is_this_machine() -> None:
    assert is_this_machine(local_address())


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "example.org", "", "localhost"])
def test_other_addresses_and_names_are_not(address: str) -> None:
    assert not is_this_machine(address)
