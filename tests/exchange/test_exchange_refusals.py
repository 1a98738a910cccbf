"""Attacks on the exchange, each by its name, and the sentence with which it says no."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from sinchphone.protocol.auth import sign_registration_token
from sinchphone.signaling.ocra.names import OPERATIONS, OcraOperation
from sinchphone.signaling.wire import write_time

MakePhone = Callable[..., Any]
StartExchange = Callable[..., Any]
DAY = 86_400.0


def refused(answer: Any, status: int, code: int, about: str) -> None:
    assert (answer.status, answer.body["code"]) == (status, code), answer.body
    assert about in answer.body["message"]
    assert answer.body["reference"]


async def test_a_forged_signature(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    refused(await bob.ask(OcraOperation.GET_CONFIG, secret=b"guess"), 401, 40108, "signature")


async def test_a_signature_that_is_no_base64(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    path = OPERATIONS[OcraOperation.GET_CONFIG].path(user="bob", instance=bob.instance)
    answer = await bob.send("GET", path, b"", f"Instance {bob.instance}:äöü", write_time(time.time()))
    refused(answer, 401, 40108, "signature")


async def test_a_request_without_credentials(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    path = OPERATIONS[OcraOperation.GET_CONFIG].path(user="bob", instance=bob.instance)
    for authorization in ("", "Instance", f"Instance {bob.instance}:", f"Bearer {bob.token()}", "Basic Ym9iOmJvYg=="):
        refused(await bob.send("GET", path, b"", authorization, write_time(time.time())), 401, 40108, "Authorization")


async def test_a_replayed_old_request(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    refused(await bob.ask(OcraOperation.GET_CONFIG, signed_at=time.time() - 310), 401, 40107, "in the past")


async def test_a_request_from_the_future(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    refused(await bob.ask(OcraOperation.GET_CONFIG, signed_at=time.time() + 310), 401, 40107, "in the future")


async def test_a_clock_that_is_a_little_off_is_no_attack(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    for seconds in (-290, 290):
        assert (await bob.ask(OcraOperation.GET_CONFIG, signed_at=time.time() + seconds)).status == 200


async def test_a_body_changed_after_signing(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    answer = await ada.ask(OcraOperation.REPORT_CALL, {"callId": "mine"}, sent=b'{"callId":"another"}')
    refused(answer, 401, 40108, "signature")
    assert bob.instance != ada.instance


async def test_a_signature_moved_to_another_path(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    stamp = write_time(time.time())
    path = OPERATIONS[OcraOperation.GET_CONFIG].path(user="bob", instance=bob.instance)
    from sinchphone.protocol.auth import sign_request
    from sinchphone.signaling.wire import JSON_CONTENT_TYPE

    signature = sign_request("GET", path, b"", JSON_CONTENT_TYPE, stamp, bob.secret)
    elsewhere = OPERATIONS[OcraOperation.GET_FEATURES].path(user="bob", instance=bob.instance)
    refused(await bob.send("GET", elsewhere, b"", f"Instance {bob.instance}:{signature}", stamp), 401, 40108, "signature")


async def test_a_user_id_in_the_path_other_than_the_signers(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    refused(await bob.ask(OcraOperation.GET_CONFIG, user="ada", instance=ada.instance), 403, 40301, "path: the user")


async def test_an_instance_in_the_path_other_than_the_signing_one(phone: MakePhone) -> None:
    desk, mobile = await phone("bob", device="desk").registered(), await phone("bob", device="mobile").registered()
    refused(await desk.ask(OcraOperation.GET_CONFIG, instance=mobile.instance), 403, 40301, "path: the instance")


async def test_an_instance_that_this_exchange_has_not_seen_register(start_exchange: StartExchange, phone: MakePhone) -> None:
    elsewhere = await phone("bob", url=(await start_exchange(store=None)).url).registered()
    here = phone("bob", instance=elsewhere.instance, secret=elsewhere.secret)
    refused(await here.ask(OcraOperation.GET_CONFIG), 401, 40106, "unknown instance")


async def test_a_registration_that_is_over(phone: MakePhone) -> None:
    bob = await phone("bob").registered(expireAt=write_time(time.time() - 1))
    refused(await bob.ask(OcraOperation.GET_CONFIG), 401, 40106, "expired")


async def test_a_token_signed_with_another_secret(phone: MakePhone) -> None:
    bob = phone("bob")
    answer = await bob.send_registration(bob.token(secret=base64.b64encode(b"guess").decode()))
    refused(answer, 401, 40108, "signature")


async def test_a_token_of_an_application_that_is_not_served(phone: MakePhone) -> None:
    bob = phone("bob", application="initech")
    answer = await bob.send_registration(bob.token(secret=base64.b64encode(b"initech").decode()))
    refused(answer, 401, 40108, "issuer")


async def test_a_token_of_another_application_that_is_served(phone: MakePhone) -> None:
    bob, other = await phone("bob").registered(), phone("bob", application="globex")
    path = OPERATIONS[OcraOperation.PROLONG_INSTANCE].path(user="bob", instance=bob.instance)
    refused(await other.send("PUT", path, b"{}", f"Bearer {other.token()}"), 401, 40106, "unknown instance")


async def test_a_token_that_claims_to_be_of_another_application(phone: MakePhone) -> None:
    """Signed with globex's secret, issued in acme's name."""
    mallory = phone("bob", application="acme")
    answer = await mallory.send_registration(mallory.token(secret=base64.b64encode(b"g" * 16).decode()))
    refused(answer, 401, 40108, "signature")


async def test_a_token_of_another_user(phone: MakePhone) -> None:
    bob = phone("bob")
    refused(await bob.send_registration(bob.token(user="ada")), 403, 40301, "subject")


async def test_a_token_of_another_user_for_prolonging(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    path = OPERATIONS[OcraOperation.PROLONG_INSTANCE].path(user="bob", instance=bob.instance)
    refused(await ada.send("PUT", path, b"{}", f"Bearer {ada.token()}"), 403, 40301, "subject")
    path = OPERATIONS[OcraOperation.PROLONG_INSTANCE].path(user="ada", instance=bob.instance)
    refused(await ada.send("PUT", path, b"{}", f"Bearer {ada.token()}"), 403, 40301, "path")


async def test_a_limited_registration_cannot_be_freed_by_a_token_without_a_limit(phone: MakePhone) -> None:
    bob = phone("bob")
    limited = sign_registration_token(
        bob.application,
        bob.secret_of_application,
        "bob",
        issued_at=int(time.time()),
        nonce="n",
        instance_expires_at=int(time.time() + 3 * DAY),
    )
    answer = await bob.send_registration(limited)
    assert answer.status in OPERATIONS[OcraOperation.CREATE_INSTANCE].statuses
    path = OPERATIONS[OcraOperation.PROLONG_INSTANCE].path(user="bob", instance=answer.body["instance"]["id"])
    refused(await bob.send("PUT", path, b"{}", f"Bearer {bob.token()}"), 403, 40301, "limited")
    refused(await bob.send_registration(bob.token()), 403, 40301, "limited")
    assert (await bob.send("PUT", path, b"{}", f"Bearer {limited}")).status == 200


async def test_an_expired_token(phone: MakePhone) -> None:
    bob = phone("bob")
    answer = await bob.send_registration(bob.token(issued_at=time.time() - 910))
    refused(answer, 401, 40108, "expired")


async def test_a_token_from_the_future(phone: MakePhone) -> None:
    bob = phone("bob")
    answer = await bob.send_registration(bob.token(issued_at=time.time() + 310))
    assert (answer.status, answer.body["code"]) == (401, 40108)
    assert "clock" in answer.body["message"] or "kid" in answer.body["message"]


async def test_a_token_with_the_wrong_kid(phone: MakePhone) -> None:
    bob = phone("bob")
    _, payload, signature = bob.token().split(".")
    for header, about in (({"alg": "HS256", "kid": "hkdfv1-20200101"}, "signature"), ({"alg": "HS256", "kid": "1"}, "kid")):
        part = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
        refused(await bob.send_registration(f"{part}.{payload}.{signature}"), 401, 40108, about)


async def test_a_token_without_a_signature(phone: MakePhone) -> None:
    bob = phone("bob")
    _, payload, _ = bob.token().split(".")
    part = base64.urlsafe_b64encode(b'{"alg":"none","kid":"hkdfv1-20261121"}').decode().rstrip("=")
    refused(await bob.send_registration(f"{part}.{payload}."), 401, 40108, "algorithm")


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.e30.c", "a.W10.c", "a.bnVsbA.c", "." * 5000, "a.eyJpc3MiOjd9.c"])
async def test_a_token_that_is_none(phone: MakePhone, token: str) -> None:
    refused(await phone("bob").send_registration(token), 401, 40108, "registration token")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000, b'{"userId":7,"deviceId":"d"}'])
async def test_a_body_that_is_none(phone: MakePhone, body: bytes) -> None:
    bob = phone("bob")
    answer = await bob.send("POST", OPERATIONS[OcraOperation.CREATE_INSTANCE].path(), body, f"Bearer {bob.token()}")
    refused(answer, 400, 40001, "")


async def test_too_many_devices(start_exchange: StartExchange, phone: MakePhone) -> None:
    url = (await start_exchange(devices_per_user=2)).url
    for number in range(2):
        await phone("bob", url=url, device=f"device-{number}").registered()
    bob = phone("bob", url=url, device="device-3")
    refused(await bob.send_registration(bob.token()), 429, 42900, "2 devices")


async def test_too_many_users(start_exchange: StartExchange, phone: MakePhone) -> None:
    url = (await start_exchange(users=1)).url
    await phone("ada", url=url).registered()
    bob = phone("bob", url=url)
    refused(await bob.send_registration(bob.token()), 429, 42900, "1 users")
    await phone("bob", url=url, application="globex").registered()


async def test_too_many_open_calls(start_exchange: StartExchange, phone: MakePhone) -> None:
    url = (await start_exchange(open_calls_per_user=2)).url
    ada, bob = await phone("ada", url=url).registered(), await phone("bob", url=url).registered()
    for number in range(2):
        assert (await ada.call("bob", call_id=f"call-{number}")).status in (200, 201)
    refused(await ada.call("bob"), 429, 42900, "2 open calls")
    assert (await bob.call("ada")).status in (200, 201)
    await ada.ask(OcraOperation.REPORT_CALL, {"callId": "call-0"})
    assert (await ada.call("bob")).status in (200, 201)


async def test_a_body_that_is_too_large(start_exchange: StartExchange, phone: MakePhone) -> None:
    bob = phone("bob", url=(await start_exchange(body_bytes=10_000)).url)
    answer = await bob.send_registration(bob.token(), filler="x" * 10_000)
    refused(answer, 413, 40003, "10000 bytes")


async def test_a_small_body_that_unpacks_to_a_large_one(start_exchange: StartExchange, phone: MakePhone) -> None:
    import zlib

    bob = phone("bob", url=(await start_exchange(body_bytes=10_000)).url)
    body = zlib.compress(b" " * 5_000_000)
    assert len(body) < 10_000
    path, headers = OPERATIONS[OcraOperation.CREATE_INSTANCE].path(), {"Content-Encoding": "deflate"}
    answer = await bob.send("POST", path, body, f"Bearer {bob.token()}", **headers)
    refused(answer, 413, 40003, "unpacked")


@pytest.mark.parametrize(("encoding", "body"), [("gzip", b"no gzip"), ("br", b"{}"), ("gzip", b"\x1f\x8b\x08\x00")])
async def test_a_body_that_is_not_packed_as_it_says(phone: MakePhone, encoding: str, body: bytes) -> None:
    bob = phone("bob")
    path, headers = OPERATIONS[OcraOperation.CREATE_INSTANCE].path(), {"Content-Encoding": encoding}
    refused(await bob.send("POST", path, body, f"Bearer {bob.token()}", **headers), 400, 40001, "")


async def test_a_message_that_is_too_large(start_exchange: StartExchange, phone: MakePhone) -> None:
    bob = await phone("bob", url=(await start_exchange(message_bytes=1_000)).url).registered()
    assert (await bob.publish("a", "x" * 900))[0] == 1
    answer = await bob.publish("a", "x" * 1_001)
    assert answer[:2] == [0, "Message Too Large"]
    keys = bob.keys
    path = f"/publish/{keys['signalPublishKey']}/{keys['signalSubscribeKey']}/0/a/0/%22{'x' * 1_001}%22"
    async with bob.session.get(bob.url + path) as got:
        assert (got.status, (await got.json())[:2]) == (400, [0, "Message Too Large"])


async def test_publishing_on_the_broadcast_network(phone: MakePhone) -> None:
    """Only the exchange does: a device's broadcast channel carries its INVITEs."""
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    keys, channel = ada.keys, bob.profile["broadcastChannel"]
    path = f"/publish/{keys['signalPublishKey']}/{keys['broadcastSubscribeKey']}/0/{channel}/0/1"
    async with ada.session.get(ada.url + path) as answer:
        assert (answer.status, (await answer.json())[:2]) == (400, [0, "Invalid Key"])


async def test_reporting_the_call_of_somebody_else(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    await phone("ada", device="device-2").registered()
    assert (await ada.call("bob", call_id="call-1")).status in (200, 201)
    await bob.ask(OcraOperation.REPORT_CALL, {"callId": "call-1"})
    assert (await ada.call("bob", call_id="call-1")).status == 409


async def test_a_request_line_without_end(http: aiohttp.ClientSession, exchange: Any) -> None:
    async with http.get(f"{exchange.url}/{'x' * 200_000}") as answer:
        assert answer.status == 400
