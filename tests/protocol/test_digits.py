import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.digits import MAX_DIGITS, read_digits


@pytest.mark.parametrize(
    ("written", "read"), [("1w2#", "1w2#"), ("0123456789*#ABCD", "0123456789*#ABCD"), ("12 34-56", "123456"), ("W9w", "W9w")]
)
def test_digits_are_read_as_people_write_them(written: str, read: str) -> None:
    assert read_digits(written) == read


@pytest.mark.parametrize("written", ["", " ", "1,2", "a", "E", "1x", "+46", "١", "１", "1\n", "1" * (MAX_DIGITS + 1)])
def test_others_are_refused(written: str) -> None:
    with pytest.raises(LocalProtocolError):
        read_digits(written)


@given(st.text())
def test_any_text_gives_digits_or_an_error(written: str) -> None:
    with contextlib.suppress(LocalProtocolError):
        digits = read_digits(written)
        assert re.fullmatch("[0-9*#A-DwW]{1,256}", digits)
        assert read_digits(digits) == digits
