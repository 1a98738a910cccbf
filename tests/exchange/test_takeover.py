"""What devices keep when another process takes the exchange over."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sinchphone.exchange.calls.line import post
from sinchphone.local import Local

MakePhone = Callable[..., Any]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_device_that_registers_after_the_takeover_is_the_same_as_before(tmp_path: Path, port: int, phone: MakePhone) -> None:
    async def registered(local: Local) -> Any:
        made = phone("bob", url=await local.open())
        made_by = await made.send_registration(await local.token("bob"))
        return made_by.body["instance"], made_by.body["config"]

    first, second = Local(tmp_path, port=port), Local(tmp_path, port=port)
    before = await registered(first)
    await first.close()
    await second.recover()
    assert await registered(second) == before
    await second.close()
    await second.close()


async def test_a_poll_goes_on_from_its_token_after_the_takeover(tmp_path: Path, port: int, phone: MakePhone) -> None:
    async def registered(user: str, local: Local) -> Any:
        made = phone(user, url=f"http://127.0.0.1:{port}", application=local.application_key)
        answer = await made.send_registration(await local.token(user))
        return replace(made, instance=answer.body["instance"]["id"], config=answer.body["config"])

    first, second = Local(tmp_path, port=port), Local(tmp_path, port=port)
    await first.open()
    bob = await registered("bob", first)
    token = (await bob.subscribe("signal"))["t"]["t"]
    await first.close()
    await second.recover()
    assert second._exchange is not None
    application = second._exchange.directory.application(second.application_key)
    assert application is not None
    post(second._exchange.broker, application.signal.subscribe_key, bob.profile["signalChannel"], "hello", "exchange")
    assert [message["d"] for message in (await bob.subscribe("signal", token))["m"]] == ["hello"]
    await second.close()
