"""``listen --push`` and ``push``, as a shell runs them: processes of their own, the real exchange on loopback."""

import asyncio
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.local import Local
from sinchphone.protocol.call.states import Cause, State
from sinchphone.signaling.push.notification import CallNotification, write_content
from tests.programs import SINCHPHONE

Run = Callable[..., Any]
LIMIT_S = 30.0


class Listening:
    """A command that tells what happens, and the lines so far."""

    def __init__(self, *arguments: str, port: int, stdin: str = "") -> None:
        environment = {**os.environ, "SINCHPHONE_BACKGROUND": "false"}
        Path("sinchphone.toml").unlink(missing_ok=True)
        config = Path("user.toml")
        config.write_text(f'user = "bob"\n[exchange]\nport = {port}\n')
        command = [*SINCHPHONE, *arguments, "--json", "--no-audio", "--config", str(config)]
        streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **streams)
        assert self.process.stdin is not None
        self.process.stdin.write(stdin)
        self.process.stdin.close()
        self.told: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append({**json.loads(line), "at": time.monotonic()})

    async def until(self, event: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    if found := [one for one in self.told if one["event"] == event]:
                        return found[-1]
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{event} never came: {self.told}") from None


async def reach(call: Any, state: State) -> None:
    async with asyncio.timeout(LIMIT_S):
        async for now in call.states():
            if now is state:
                return
    raise AssertionError(f"the call ended instead: {call.details}")


async def test_a_listener_that_sleeps_is_woken_answers_and_sleeps_no_more_when_it_has_ended(nobodys_machine: Path) -> None:
    async with Local(nobodys_machine / "state" / "sinchphone", port=0) as local, SinchClient("alice", local) as alice:
        assert local._exchange is not None
        there = Listening("listen", "--push", "--auto-answer", "--once", port=local._exchange.port)
        await there.until("client.sleeping")
        placed_at = time.monotonic()
        call = await alice.call_user("bob")
        incoming = await there.until("call.incoming")
        assert incoming["at"] - placed_at < 2.0 + 5.0  # the promise, and what a busy machine may stall
        assert (await there.until("push.received"))["woke"] is True
        await reach(call, State.ESTABLISHED)
        await call.hang_up()
        result = await there.until("result")
        assert result["exit_code"] == 0
        await asyncio.to_thread(there.process.wait, LIMIT_S)
        details = await asyncio.wait_for((await alice.call_user("bob")).ended(), LIMIT_S)
        assert details.cause is Cause.FAILURE


async def test_a_payload_from_elsewhere_on_standard_input_takes_the_call(nobodys_machine: Path) -> None:
    async with Local(nobodys_machine / "state" / "sinchphone", port=0) as local, SinchClient("alice", local) as alice:
        exchange = local._exchange
        assert exchange is not None
        far: list[dict[str, Any]] = []
        endpoint = exchange._push_service.register(
            exchange._push_service.greet("", far.append, time.time()), "0" * 32, await exchange._pushes.public_key(), exchange.url
        )
        point = "BLw479HGl1fZJPTXm4Kewxl0rlX8YupAlNvePOzqUD0mBugHXwGX92DdwFMNJfJ7ALSZnMS7BVrbEMvMckNE8gs"
        Path("subscription.json").write_text(json.dumps({"endpoint": endpoint, "keys": {"p256dh": point, "auth": "A" * 22}}))
        subscribed = Listening("push", "--subscribe", "subscription.json", port=exchange.port)
        assert (await subscribed.until("result"))["exit_code"] == 0
        await asyncio.to_thread(subscribed.process.wait, LIMIT_S)
        call = await alice.call_user("bob")
        async with asyncio.timeout(LIMIT_S):
            while not far:
                await asyncio.sleep(0.02)
        told = CallNotification(call_id=call.id, remote_user_id="alice", sent_at=time.time())
        taken = Listening("push", "--auto-answer", port=exchange.port, stdin=write_content(told).decode())
        await reach(call, State.ESTABLISHED)
        await call.hang_up()
        assert (await taken.until("result"))["exit_code"] == 0


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("", "payload.json has no JSON object"),
        ("[]", "no JSON object"),
        ("x" * 9000, "no JSON object"),
    ],
)
def test_what_is_no_payload_is_a_usage_error(platform: Any, sinchphone: Run, payload: str, words: str) -> None:
    Path("payload.json").write_text(payload)
    ran = sinchphone("push", "--auto-answer", "payload.json")
    assert ran.code == 2
    assert words in ran.err


@pytest.mark.parametrize("line", [("push", "--key", "--json"), ("--json", "push", "--key")])
def test_a_key_is_no_event(platform: Any, sinchphone: Run, line: tuple[str, ...]) -> None:
    refused = sinchphone(*line)
    assert (refused.code, [one["event"] for one in refused.events]) == (2, ["result"])
    assert "prints no JSON" in refused.err


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "[FILE]: it is empty"),
        (".", "[FILE]: . can't be read"),
        pytest.param("/dev/zero", "no JSON object", marks=pytest.mark.skipif(os.name != "posix", reason="a device of POSIX")),
    ],
)
def test_a_source_that_is_no_file_with_an_end_is_a_usage_error(platform: Any, sinchphone: Run, source: str, words: str) -> None:
    ran = sinchphone("push", "--auto-answer", "0s", source)
    assert (ran.code, words in ran.err) == (2, True), ran.err


def test_keys_cannot_come_from_where_the_payload_does(platform: Any, sinchphone: Run) -> None:
    ran = sinchphone("push")
    assert (ran.code, "--auto-answer" in ran.err) == (2, True)


def test_a_subscription_that_is_none_is_a_usage_error_that_names_the_member(platform: Any, sinchphone: Run) -> None:
    Path("subscription.json").write_text('{"endpoint": "https://push.example/a", "keys": {"p256dh": "AAAA", "auth": "AAAA"}}')
    ran = sinchphone("push", "--subscribe", "subscription.json")
    assert (ran.code, "p256dh" in ran.err) == (2, True)
