"""Drives PubNub's own Python SDK against a broker over TLS: python pubnub_driver.py ORIGIN SUBSCRIBE_KEY PUBLISH_KEY; one JSON line a fact.

It runs in an environment of its own: the SDK is no dependency of the project, not even of its tests.
"""

import asyncio
import json
import sys
from typing import Any

from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import PubNubAsyncio, SubscribeListener

MESSAGES: list[Any] = ["hello", {"type": "offer", "sdp": "v=0\r\nä/?#% +&\n"}, "x" * 20_000, ["ü/..//%2F", 1, None]]


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def main(origin: str, subscribe_key: str, publish_key: str) -> None:
    configuration = PNConfiguration()
    configuration.origin, configuration.ssl = origin, True
    configuration.subscribe_key, configuration.publish_key, configuration.uuid = subscribe_key, publish_key, "pubnub-sdk"
    configuration.daemon = True
    client = PubNubAsyncio(configuration)
    listener = SubscribeListener()
    client.add_listener(listener)
    client.subscribe().channels(["one", "two"]).execute()
    await listener.wait_for_connect()
    tell(connected=True)
    for number, message in enumerate(MESSAGES):
        channel = ("one", "two")[number % 2]
        sent = await client.publish().channel(channel).message(message).use_post(number % 2 == 1 or len(message) > 1000).future()
        heard = await asyncio.wait_for(listener.wait_for_message_on(channel), 10)
        tell(sent=not sent.status.is_error(), same=heard.message == message, publisher=heard.publisher)
    ours = await asyncio.wait_for(listener.wait_for_message_on("one"), 30)
    tell(ours=ours.message)
    client.unsubscribe().channels(["one", "two"]).execute()
    await client.stop()


asyncio.run(main(*sys.argv[1:]))
