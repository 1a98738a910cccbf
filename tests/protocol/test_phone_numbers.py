import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import DestinationError
from sinchphone.protocol.phone_numbers import (
    global_number,
    is_number,
    looks_like_number,
    prefix_reading,
    read_caller_id,
    read_number,
    reading,
)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("+44 (0) 20 7946 0018", "+442079460018"),
        ("+44(0)2079460018", "+442079460018"),
        ("+46 (0)70-123 45 67", "+46701234567"),
        ("+49 (0)30/901820", "+4930901820"),
        ("+81 (0)3-1234-5678", "+81312345678"),
        ("+7 (8) 495 123-45-67", "+74951234567"),
        ("+44 020 7946 0018", "+442079460018"),
        ("+39 (0)6 1234 5678", "+390612345678"),
        ("+39 06 1234 5678", "+390612345678"),
        ("+378 0549 882914", "+3780549882914"),
        ("+1 415.555.0123", "+14155550123"),
        ("+46000000000", "+46000000000"),
    ],
)
def test_a_national_prefix_behind_the_country_is_not_dialled_but_italys_zero_is(written: str, number: str) -> None:
    assert read_number(written) == number


@pytest.mark.parametrize("written", ["+34 (0)91 123 4567", "+1 (0)415 555 0100"])
def test_a_zero_that_the_country_does_not_have_is_refused_rather_than_dialled_or_dropped(written: str) -> None:
    with pytest.raises(DestinationError, match="can't be a number"):
        read_number(written)


@pytest.mark.parametrize(
    "written",
    [
        "\u202a+46 70 123 45 67\u202c",  # from a contact's page: LRE, PDF
        "\u2066+46701234567\u2069",
        "\u200e+46\u00a070\u202f123\u200945\u200a67",  # no-break, narrow no-break, thin and hair spaces
        "+46\u201170\u2011123\u201145\u201167",  # non-breaking hyphens
        "+46\u201370\u2212123\u201445\ufe6367",
        "\uff0b\uff14\uff16\uff17\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17",  # full width
        "+\u0664\u0666 \u0667\u0660 \u0661\u0662\u0663 \u0664\u0665 \u0666\u0667",  # Arabic-Indic
        "+\u06f4\u06f6\u06f7\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7",  # Persian
        "+46\u00ad70\u200b1234567\ufeff",
        "tel:%2B46701234567",
        "tel:%2B46-70-123-45-67;ext=7",
        "TEL:+46(70)1234567",
        "tel:701234567;phone-context=+46",
        "tel:70-1234567;phone-context=%2B46",
    ],
)
def test_what_is_pasted_with_a_number_is_not_in_the_way(written: str) -> None:
    assert looks_like_number(written)
    assert read_number(written) == "+46701234567"


@pytest.mark.parametrize(
    "written", ["+46 70x123", "+46,701234567", "+46+701234567", "++46701234567", "+46 7\u00b2", "+" + "4" * 300, "tel:", "+"]
)
def test_what_is_no_number_is_refused(written: str) -> None:
    with pytest.raises(DestinationError):
        read_number(written)


@given(st.text(alphabet=st.one_of(st.sampled_from("+0123456789 ()-/tel:%;=\u202a\u0664"), st.characters()), max_size=300))
def test_any_text_is_a_number_of_our_shape_or_a_destination_error(text: str) -> None:
    with contextlib.suppress(DestinationError):
        assert is_number(read_number(text))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("+46900123456", "+460900123456", True),
        ("+46900123456", "+4600900123456", True),
        ("+442079460018", "+4402079460018", True),
        ("+390612345678", "+39612345678", False),
        ("+14155550100", "+14155550101", False),
    ],
)
def test_numbers_are_the_same_where_a_network_reads_the_same(one: str, other: str, same: bool) -> None:
    assert (reading(one) == reading(other)) is same


@pytest.mark.parametrize(
    ("prefix", "read"),
    [("+460900", "+46900"), ("+46900", "+46900"), ("+46", "+46"), ("+", "+"), ("+3906", "+3906"), ("+1900", "+1900"), ("+999", "+999")],
)
def test_beginnings_of_numbers_are_read_as_the_numbers_are(prefix: str, read: str) -> None:
    assert prefix_reading(prefix) == read


@pytest.mark.parametrize("value", ["0701234567", "+4612", "+abc", 46701234567, None, True, "", "+0701234567"])
def test_a_caller_id_without_a_country_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match="with its country"):
        read_caller_id(value)


def test_a_caller_id_is_written_as_people_write_it() -> None:
    assert read_caller_id("+46 (0)10 123 45 67") == read_caller_id("+46 10-123 45 67") == "+46101234567"


@pytest.mark.parametrize(("user", "number"), [("+46-70(123)", "+4670123"), ("+112", "+112"), ("112", None), ("bob", None), ("+46x", None)])
def test_the_user_part_of_a_uri_is_a_global_number_or_none(user: str, number: str | None) -> None:
    assert global_number(user) == number
