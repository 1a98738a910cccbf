"""PubNub's own current Python SDK subscribes and publishes at our broker, over TLS; it is installed at test time, elsewhere."""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange

pytestmark = pytest.mark.timeout(180)

DRIVER = Path(__file__).with_name("sdk") / "pubnub_driver.py"


async def test_pubnubs_own_sdk_subscribes_and_publishes_over_tls(pubnub_python: str, issued: Any) -> None:
    options = ExchangeOptions(
        port=0, tls_port=0, certificate=issued.certificate, applications={"acme": base64.b64encode(b"a" * 16).decode()}
    )
    async with Exchange(options) as exchange:
        application = exchange.directory.application("acme")
        assert application is not None
        assert exchange.tls_url is not None
        keys = application.signal
        process = await asyncio.create_subprocess_exec(
            pubnub_python,
            str(DRIVER),
            exchange.tls_url.removeprefix("https://"),
            keys.subscribe_key,
            keys.publish_key,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "SSL_CERT_FILE": str(issued.authority)},
        )
        assert process.stdout is not None

        async def fact() -> Any:
            async with asyncio.timeout(60):
                line = await process.stdout.readline()  # type: ignore[union-attr]
            assert line, "the SDK's program ended"
            return json.loads(line)

        assert await fact() == {"connected": True}
        for _ in range(4):
            assert await fact() == {"sent": True, "same": True, "publisher": "pubnub-sdk"}
        async with asyncio.timeout(10):
            while "pubnub-sdk" not in exchange.broker.listeners(keys.subscribe_key, "one"):
                await asyncio.sleep(0.05)
        exchange.broker.publish(keys.subscribe_key, "one", "from the exchange", size=20, publisher="exchange", now=0.0)
        assert await fact() == {"ours": "from the exchange"}
        async with asyncio.timeout(30):
            assert await process.wait() == 0
