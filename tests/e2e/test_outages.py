"""A link that is gone for thirty seconds, in mid call: with the kernel's own interface, in a network namespace that only this test sees."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.namespaces import ALONE, skip_without_namespaces

SCRIPT = Path(__file__).with_name("outage.py")
SECONDS = 30


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    skip_without_namespaces()


async def test_calls_to_a_user_and_to_a_phone_live_on_through_thirty_seconds_without_a_network(tmp_path: Path) -> None:
    command = [*ALONE, sys.executable, str(SCRIPT), str(SECONDS), str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 400)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found: dict[str, Any] = json.loads(out)
    assert found["during"] == ["established"] * 2
    assert found["after"] == ["established"] * 2
    assert found["silent"] < 0.5, "nothing was heard meanwhile"
    assert found["back_s"] < 120
