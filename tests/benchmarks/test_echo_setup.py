"""The built-in users ring as soon as others do, with a limit that a busy machine keeps too."""

import asyncio

import echo_setup


def test_the_echo_rings_no_later_than_a_user() -> None:
    """Half as long as a user; one of three tries counts."""
    ratios = []
    for _ in range(3):
        found = asyncio.run(echo_setup.measure(10))
        print(echo_setup.report(found))
        ratios.append(found.ratio)
        if found.ratio <= 1.0:
            return
    raise AssertionError(f"the echo rang later than a user: {ratios} times")
