"""Calls on a machine without IPv4, by relays: in a network namespace that only this test sees."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.media.webrtc import coturn
from tests.namespaces import ALONE, skip_without_namespaces

SCRIPT = Path(__file__).with_name("ipv6_machine.py")

pytestmark = pytest.mark.skipif(not coturn.is_there(), reason=coturn.MISSING)


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    skip_without_namespaces()


async def test_two_phones_that_have_nothing_but_ipv6_talk_by_an_ipv6_relay(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(*ALONE, sys.executable, str(SCRIPT), str(tmp_path), stdout=asyncio.subprocess.PIPE)
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    found = json.loads(out)
    assert found["pair"] == "relay"
    assert found["share"] > 0.95
    assert found["candidates"]
    assert all(" fd00:77::1 " in each and " typ relay raddr :: rport 9" in each for each in found["candidates"])
