"""What sound devices and limits may be configured, and how anything else is refused."""

import pytest

from sinchphone.media.options import AudioOptions
from sinchphone.schema import read_keys


@pytest.mark.parametrize("written", [20, "20", "0064", 1000])
def test_a_limit_of_what_is_sent_is_a_whole_number_that_speech_fits_in(written: object) -> None:
    assert read_keys(AudioOptions, {"max_kbps": written}).max_kbps == int(str(written))


@pytest.mark.parametrize("written", [19, 1001, -64, 64.5, True, "", "64k", " 64", "1e2", "٦٤", "9" * 5000])
def test_any_other_limit_is_refused_with_the_numbers_that_are_taken(written: object) -> None:
    with pytest.raises(ValueError, match="must be a number from 20 to 1000"):
        read_keys(AudioOptions, {"max_kbps": written})


@pytest.mark.parametrize(("written", "device"), [(3, 3), ("3", 3), ("9" * 5000, "9" * 5000), ("Headset 2", "Headset 2")])
def test_a_device_is_an_index_or_part_of_a_name(written: object, device: object) -> None:
    assert read_keys(AudioOptions, {"input": written}).input == device
