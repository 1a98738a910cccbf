"""Another network in mid call: with the kernel's own addresses, in a network namespace that only this test sees."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.namespaces import ALONE, skip_without_namespaces

SCRIPT = Path(__file__).with_name("moving_machine.py")


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    skip_without_namespaces()


async def move(kind: str) -> dict[str, float | str]:
    process = await asyncio.create_subprocess_exec(*ALONE, sys.executable, str(SCRIPT), kind, stdout=asyncio.subprocess.PIPE)
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    found: dict[str, float | str] = json.loads(out)
    return found


async def test_another_network_that_comes_up_is_taken_and_nobody_hears_it() -> None:
    found = await move("join")
    assert float(found["share"]) > 0.95
    assert float(found["gap_ms"]) <= 200


async def test_the_sound_comes_back_after_the_only_address_was_taken_away() -> None:
    found = await move("leave")
    assert found["host"] == "10.77.0.2"
    assert float(found["share"]) > 0.95
    assert float(found["moved_after_s"]) < 8  # a poll every 2 s, a pause of 5 s after an attempt that found no way
