import re

import pytest

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.ulid import make_ulid


def test_the_time_part_is_the_one_of_the_specifications_example() -> None:
    assert make_ulid(1469918176.385, bytes(10)) == "01ARYZ6S41" + "0" * 16


def test_ids_sort_by_time_and_have_26_characters_of_base_32() -> None:
    early, late = make_ulid(1000.0, b"\xff" * 10), make_ulid(1000.001, bytes(10))
    assert early < late
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", early)


def test_too_little_randomness_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        make_ulid(0.0, b"x")
