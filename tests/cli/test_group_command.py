"""``group``, as a shell runs it: a process of its own, the real exchange on loopback, and a client of this process in the same group."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.engine.group_call import RemoteCallAdded, RemoteCallRemoved
from sinchphone.local import Local
from tests.cli.test_push_commands import LIMIT_S, Listening


async def test_a_command_in_a_group_tells_who_comes_and_goes_and_leaves_when_it_is_told_to(nobodys_machine: Path) -> None:
    async with Local(nobodys_machine / "state" / "sinchphone", port=0) as local, SinchClient("alice", local) as alice:
        assert local._exchange is not None
        there = Listening("group", "standup", "--tone", "440", port=local._exchange.port)
        joined = await there.until("group.joined")
        assert (joined["group"], joined["user_id"]) == ("standup", "bob")
        group = await alice.call_group("standup")
        events = group.events()
        await anext(events)
        added = await asyncio.wait_for(anext(events), LIMIT_S)
        assert isinstance(added, RemoteCallAdded)
        assert added.call.peer == "bob"
        assert (await there.until("group.call_added"))["peer"] == "alice"
        there.process.send_signal(signal.SIGTERM)
        assert isinstance(await asyncio.wait_for(anext(events), LIMIT_S), RemoteCallRemoved)
        result = await there.until("result")
        assert [call["peer"] for call in result["calls"]] == ["alice"]
        assert (result["exit_code"], await asyncio.to_thread(there.process.wait, LIMIT_S)) == (143, 143)


@pytest.mark.parametrize("option", [("--record", "a.wav"), ("--dtmf", "1"), ("--play", "-")])
def test_what_is_for_a_single_call_is_refused(platform: Any, sinchphone: Any, option: tuple[str, ...]) -> None:
    assert sinchphone("group", "standup", *option).code == 2


@pytest.mark.parametrize("name", ["", "two words", "a,b", "x" * 65, "a.b"])
def test_what_cannot_be_a_groups_name_is_a_usage_error(platform: Any, sinchphone: Any, name: str) -> None:
    ran = sinchphone("group", name, "--no-audio")
    assert ran.code == 2
    assert "a group's name has 1 to 64 characters" in ran.err
