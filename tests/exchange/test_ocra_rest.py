"""The operations of the Ocra dialect, asked for with plain HTTP."""

import asyncio
import base64
import gzip
import json
import time
import uuid
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from sinchphone.errors import ForbiddenError, NetworkError
from sinchphone.exchange.calls.line import CallLine
from sinchphone.protocol.auth import sign_request
from sinchphone.protocol.mxp.message import Client, Message, Method, Reassembler, decode_failure, decrypt, encrypt, parse_fragment, split
from sinchphone.signaling.dialect import CallRequest
from sinchphone.signaling.ocra.names import OPERATIONS, OcraOperation
from sinchphone.signaling.wire import JSON_CONTENT_TYPE, write_time
from sinchphone.tasks import start_task

ON_BOTH_STORES = True

MakePhone = Callable[..., Any]
StartExchange = Callable[..., Any]
POINT = "BLw479HGl1fZJPTXm4Kewxl0rlX8YupAlNvePOzqUD0mBugHXwGX92DdwFMNJfJ7ALSZnMS7BVrbEMvMckNE8gs"  # on P-256


def frames_of(answer: Any) -> list[str]:
    return [message["d"] for message in answer["m"]]


def opened(frames: list[str], key: str | bytes) -> Message:
    """The one message in the frames."""
    reassembler = Reassembler()
    payloads = [payload for frame in frames if (payload := reassembler.push(parse_fragment(frame), 0.0)) is not None]
    assert len(payloads) == 1
    return decrypt(payloads[0], base64.b64decode(key) if isinstance(key, str) else key)


async def token_of(phone: Any, network: str) -> str:
    return str((await phone.subscribe(network))["t"]["t"])


async def test_a_device_registers_and_learns_its_secret_its_channels_and_the_broker(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    assert len(bob.secret) >= 16
    assert len(base64.b64decode(bob.profile["key"])) in (16, 32)
    assert bob.profile["broadcastChannel"] != bob.profile["signalChannel"]
    assert f"http://{bob.keys['hostname']}:{bob.keys['port']}" == bob.url
    assert bob.keys["ssl"] is False
    assert {"broadcastSubscribeKey", "signalSubscribeKey", "signalPublishKey"} <= bob.keys.keys()


async def test_the_same_device_is_the_same_at_another_exchange_of_the_application(start_exchange: StartExchange, phone: MakePhone) -> None:
    here = await phone("bob").registered()
    there = await phone("bob", url=(await start_exchange()).url).registered()
    assert (here.instance, here.secret, here.profile) == (there.instance, there.secret, there.profile)
    names = ("broadcastSubscribeKey", "signalSubscribeKey", "signalPublishKey")
    assert [here.keys[name] for name in names] == [there.keys[name] for name in names]


async def test_no_two_devices_users_or_applications_share_anything(phone: MakePhone) -> None:
    phones = [
        await phone("bob").registered(),
        await phone("bob", device="device-2").registered(),
        await phone("bobdevice", device="-1").registered(),
        await phone("bob", application="globex").registered(),
    ]
    for seen in (
        [each.instance for each in phones],
        [each.secret for each in phones],
        [each.profile["key"] for each in phones],
        [channel for each in phones for channel in (each.profile["broadcastChannel"], each.profile["signalChannel"])],
    ):
        assert len(set(seen)) == len(seen)
    assert phones[0].keys["signalSubscribeKey"] != phones[3].keys["signalSubscribeKey"]


async def test_a_registered_device_gets_its_configuration_again(phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    answer = await bob.ask(OcraOperation.GET_CONFIG)
    assert (answer.status, answer.body) == (200, bob.config)


async def test_every_operation_answers_with_a_status_of_the_table(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    push = {
        "collapseId": "c",
        "templateId": "t",
        "templateParameters": {"sinch": "{}"},
        "to": [{"userId": "bob", "instanceId": bob.instance}],
    }
    bodies: dict[OcraOperation, Any] = {
        OcraOperation.UPDATE_INSTANCE: {"capabilities": ["push"], "version": {"application": "2", "platform": "js", "os": "x"}},
        OcraOperation.GET_CONFIG: None,
        OcraOperation.GET_ICE_SERVERS: None,
        OcraOperation.SET_PUSH_PROFILE: {"w3c": {"endpoint": "https://push.example/a", "p256dh": POINT, "auth": "A" * 22}},
        OcraOperation.DELETE_PUSH_PROFILE: None,
        OcraOperation.SEND_PUSH: push,
        OcraOperation.GET_FEATURES: None,
        OcraOperation.REPORT_CALL: {"callId": "c"},
    }
    assert (await ada.call("bob", call_id="c")).status == OPERATIONS[OcraOperation.PLACE_CALL].status
    for operation, body in bodies.items():
        answer = await ada.ask(operation, body)
        assert answer.status in OPERATIONS[operation].statuses, operation
    assert (await ada.ask(OcraOperation.GET_ICE_SERVERS)).body == {"iceServers": []}
    assert (await ada.ask(OcraOperation.GET_FEATURES)).body["WebRtc.UseTurn"] is False


async def test_a_registration_can_be_prolonged(phone: MakePhone) -> None:
    bob = await phone("bob").registered(expireAt="2100-01-01T00:00:00.000Z")
    path = OPERATIONS[OcraOperation.PROLONG_INSTANCE].path(user="bob", instance=bob.instance)
    answer = await bob.send("PUT", path, b'{"expireAt":"2101-01-01T00:00:00.000Z"}', f"Bearer {bob.token()}")
    assert answer.status == 200
    assert answer.body == {"instanceId": bob.instance, "expireAt": "2101-01-01T00:00:00.000Z"}


async def test_a_called_user_gets_an_invite_on_each_device_under_that_devices_key(phone: MakePhone) -> None:
    ada = await phone("ada").registered()
    desk, mobile = [await phone("bob", device=name).registered() for name in ("desk", "mobile")]
    tokens = [await token_of(each, "broadcast") for each in (desk, mobile)]
    sdp = "v=0\r\n" + "a=x\r\n" * 400
    answer = await ada.call(
        "bob", call_id="01J9ZK3M6Q4B8V7N2T5X0YHDRA", sdp={"type": "offer", "sdp": sdp}, publicCallHeaders={"x-order": "42"}
    )
    assert answer.status in (200, 201)
    assert {instance["id"] for instance in answer.body["instances"]} == {desk.instance, mobile.instance}
    assert answer.body["publicCallHeaders"] == {"x-order": "42"}
    for each, token in zip((desk, mobile), tokens, strict=True):
        frames = frames_of(await each.subscribe("broadcast", token))
        assert len(frames) > 1
        assert {parse_fragment(frame).session_id for frame in frames} == {"01J9ZK3M6Q4B8V7N2T5X0YHDRA"}
        invite = opened(frames, each.profile["key"])
        assert invite.method is Method.INVITE
        assert invite.sender == Client("ada", ada.instance, ada.profile["signalChannel"])
        assert invite.addressee == each.instance
        assert invite.headers["key"] == answer.body["mxpEncryptionKey"]
        assert json.loads(invite.headers["sdp"]) == {"type": "offer", "sdp": sdp}
        assert json.loads(invite.headers["ph"]) == {"x-order": "42"}


async def test_every_call_has_a_key_and_a_channel_of_its_own(phone: MakePhone) -> None:
    ada, _ = await phone("ada").registered(), await phone("bob").registered()
    first, second = (await ada.call("bob")).body, (await ada.call("bob")).body
    assert first["mxpEncryptionKey"] != second["mxpEncryptionKey"]
    assert first["mxpSignalChannel"] != second["mxpSignalChannel"]


async def test_who_calls_themselves_reaches_their_other_devices_only(phone: MakePhone) -> None:
    desk = await phone("ada", device="desk").registered()
    assert (await desk.call("ada")).status == 404
    mobile = await phone("ada", device="mobile").registered()
    answer = await desk.call("ada")
    assert [instance["id"] for instance in answer.body["instances"]] == [mobile.instance]


async def test_a_cancel_on_the_calls_channel_reaches_the_called_device_after_the_invite(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    broadcast, signal = await token_of(bob, "broadcast"), await token_of(bob, "signal")
    call = (await ada.call("bob", call_id="call-1")).body
    sender = Client("ada", ada.instance, ada.profile["signalChannel"])
    (frame,) = split(encrypt(Message(Method.CANCEL, sender), base64.b64decode(call["mxpEncryptionKey"]), bytes(16)), "call-1", "1")
    await ada.publish(call["mxpSignalChannel"], frame)
    await ada.ask(OcraOperation.REPORT_CALL, {"callId": "call-1"})
    relayed = frames_of(await bob.subscribe("signal", signal))
    assert opened(relayed, call["mxpEncryptionKey"]).method is Method.CANCEL
    *invite, cancel = frames_of(await bob.subscribe("broadcast", broadcast))
    assert opened(invite, bob.profile["key"]).method is Method.INVITE
    assert cancel == frame


async def test_only_frames_of_the_call_are_passed_on(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    signal = await token_of(bob, "signal")
    call = (await ada.call("bob", call_id="call-1")).body
    for message in ("10 another-call - 0 1 AAAA", "no frame", {"a": 1}, None, 7, "10 call-1 - 0 1 AAAA"):
        await ada.publish(call["mxpSignalChannel"], message)
    assert frames_of(await bob.subscribe("signal", signal))[-1] == "10 call-1 - 0 1 AAAA"
    assert len(frames_of(await bob.subscribe("signal", signal))) == 1


async def test_a_user_of_another_application_can_not_be_called(phone: MakePhone) -> None:
    ada, _ = await phone("ada").registered(), await phone("bob", application="globex").registered()
    answer = await ada.call("bob")
    assert (answer.status, answer.body["code"]) == (404, 40400)


async def test_a_user_whom_nobody_knows_can_not_be_called(phone: MakePhone) -> None:
    ada = await phone("ada").registered()
    answer = await ada.call("nobody")
    assert (answer.status, answer.body["code"]) == (404, 40400)
    assert answer.body["message"] == "there is no user nobody on this exchange"


async def test_a_user_who_said_goodbye_can_not_be_called(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    keys, channel = bob.keys, bob.profile["broadcastChannel"]
    await bob.send("GET", f"/v2/presence/sub-key/{keys['broadcastSubscribeKey']}/channel/{channel}/leave?uuid={bob.instance}")
    answer = await ada.call("bob")
    assert (answer.status, answer.body["message"]) == (404, "bob is not listening at the moment")
    profile = {"w3c": {"endpoint": "http://127.0.0.1:9/a", "p256dh": POINT, "auth": "A" * 22}}
    assert (await bob.ask(OcraOperation.SET_PUSH_PROFILE, profile)).status == 200
    assert (await ada.call("bob")).status in (200, 201)


async def test_a_phone_number_without_a_caller_id_is_forbidden(phone: MakePhone) -> None:
    ada = await phone("ada").registered()
    answer = await ada.call("+14155550123", domain="pstn")
    assert (answer.status, answer.body["message"]) == (403, "a call to a phone number needs a caller id (cli)")


@pytest.mark.parametrize(("domain", "identity"), [("pstn", "+14155550123"), ("sip", "a@example.com"), ("conference", "room")])
async def test_what_this_exchange_can_not_reach_is_not_found(phone: MakePhone, domain: str, identity: str) -> None:
    ada = await phone("ada").registered()
    answer = await ada.call(identity, domain=domain, cli="+14155550100")
    assert (answer.status, answer.body["code"]) == (404, 40400)


class Plan:
    """Destinations made of one answerer."""

    def __init__(self, answerer: Any) -> None:
        self.answerer = answerer

    async def find(self, application: Any, request: CallRequest) -> Any:
        if isinstance(self.answerer, Exception):
            raise self.answerer
        return self.answerer if request.identity == "echo" else None


@pytest.fixture
async def with_plan(start_exchange: StartExchange, phone: MakePhone) -> Callable[[Any], Any]:
    """Registers ada at an exchange with that answerer for calls to "echo"."""

    async def start(answerer: Any) -> Any:
        return await phone("ada", url=(await start_exchange(destinations=Plan(answerer))).url).registered()

    return start


async def test_the_exchanges_own_end_of_a_call_hears_the_caller_and_can_answer(with_plan: Any) -> None:
    async def answer(line: CallLine) -> None:
        async for payload in line.frames():
            heard = decrypt(parse_fragment(payload).payload, line.session_key)
            reply = Message(Method.ACK, line.local, "msg", f"{heard.body} from {line.caller.user_id}")
            (frame,) = split(encrypt(reply, line.session_key, bytes(16)), line.request.call_id, "1")
            await line.publish(line.caller.channel, frame)
            return

    ada = await with_plan(answer)
    signal = await token_of(ada, "signal")
    call = (await ada.call("echo", call_id="call-1")).body
    assert call["instances"] == []
    message = Message(Method.PEER_EVENT, Client("ada", ada.instance, ada.profile["signalChannel"]), "msg", "hello")
    (frame,) = split(encrypt(message, base64.b64decode(call["mxpEncryptionKey"]), bytes(16)), "call-1", "1")
    await ada.publish(call["mxpSignalChannel"], frame)
    reply = opened(frames_of(await ada.subscribe("signal", signal)), call["mxpEncryptionKey"])
    assert reply.body == "hello from ada"
    assert reply.sender.user_id == "echo"
    assert reply.sender.channel == call["mxpSignalChannel"]


async def test_a_caller_is_told_when_the_exchanges_own_end_fails(with_plan: Any) -> None:
    async def fail(line: CallLine) -> None:
        raise NetworkError("the trunk is down")

    ada = await with_plan(fail)
    signal = await token_of(ada, "signal")
    call = (await ada.call("echo")).body
    failure = opened(frames_of(await ada.subscribe("signal", signal)), call["mxpEncryptionKey"])
    assert failure.method is Method.ERROR
    assert decode_failure(failure.body).message == "the trunk is down"


async def test_a_destination_may_refuse_a_call_with_a_sentence(with_plan: Any) -> None:
    ada = await with_plan(ForbiddenError("no calls after ten"))
    answer = await ada.call("echo")
    assert (answer.status, answer.body["message"]) == (403, "no calls after ten")


async def test_the_exchanges_own_ends_say_goodbye_when_it_closes(start_exchange: StartExchange, phone: MakePhone) -> None:
    begun = asyncio.Event()

    async def wait(line: CallLine) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await line.publish(line.caller.channel, "goodbye")

    exchange = await start_exchange(destinations=Plan(wait))
    ada = await phone("ada", url=exchange.url).registered()
    poll = start_task(ada.subscribe("signal", await token_of(ada, "signal")), name="subscribe")
    await ada.call("echo")
    network = exchange.directory.holder(ada.keys["signalSubscribeKey"]).network
    async with asyncio.timeout(5):
        await begun.wait()
        while not exchange.broker.is_listening(network, ada.profile["signalChannel"], time.time()):
            await asyncio.sleep(0.005)
        await exchange.close()
        assert frames_of(await poll) == ["goodbye"]


async def test_an_end_that_never_stops_does_not_keep_the_exchange_from_closing(start_exchange: StartExchange, phone: MakePhone) -> None:
    stubborn, release = asyncio.Event(), asyncio.Event()

    async def stay(line: CallLine) -> None:
        stubborn.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    exchange = await start_exchange(destinations=Plan(stay))
    ada = await phone("ada", url=exchange.url).registered()
    await ada.call("echo")
    async with asyncio.timeout(5):
        await stubborn.wait()
        await exchange.close()
    release.set()


async def test_a_packed_call_report_is_read(phone: MakePhone) -> None:
    ada = await phone("ada").registered()
    endpoint = OPERATIONS[OcraOperation.REPORT_CALL]
    path, body, stamp = endpoint.path(user="ada", instance=ada.instance), gzip.compress(b'{"callId":"c"}'), write_time(time.time())
    signature = sign_request(endpoint.verb, path, body, JSON_CONTENT_TYPE, stamp, ada.secret)
    headers = {"Content-Encoding": "gzip"}
    answer = await ada.send(endpoint.verb, path, body, f"Instance {ada.instance}:{signature}", stamp, **headers)
    assert answer.status in endpoint.statuses


async def test_the_exchange_says_who_it_is_and_what_time_it_has(http: aiohttp.ClientSession, exchange: Any) -> None:
    async with http.get(exchange.url) as answer:
        identity = await answer.json()
        date = parsedate_to_datetime(answer.headers["Date"])
    assert identity.keys() == {"service", "version"}
    assert identity["service"] == "sinchphone-exchange"
    assert abs(date.timestamp() - time.time()) < 5


async def test_a_browser_may_ask_from_anywhere(http: aiohttp.ClientSession, exchange: Any) -> None:
    async with http.options(f"{exchange.url}/ocra/v1/instances") as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        assert "x-timestamp" in answer.headers["Access-Control-Allow-Headers"]


async def test_a_path_that_does_not_exist_is_an_error_in_json(phone: MakePhone) -> None:
    for verb, path, status in (("GET", "/ocra/v1/nothing", 404), ("PUT", "/ocra/v1/instances", 405)):
        answer = await phone("bob").send(verb, path)
        assert answer.status == status
        assert answer.body.keys() == {"code", "message", "reference"}


async def test_a_call_with_an_id_that_is_in_use_is_refused(phone: MakePhone) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    same = uuid.uuid4().hex
    assert (await ada.call("bob", call_id=same)).status in (200, 201)
    assert (await bob.call("ada", call_id=same)).status == 409
    await bob.ask(OcraOperation.REPORT_CALL, {"callId": same})
    assert (await bob.call("ada", call_id=same)).status == 409
    await ada.ask(OcraOperation.REPORT_CALL, {"callId": same})
    assert (await bob.call("ada", call_id=same)).status in (200, 201)


@pytest.mark.parametrize(
    "changes",
    [
        {"callId": ""},
        {"callId": "with space"},
        {"callId": "x" * 65},
        {"callId": 7},
        {"destination": {"domain": "pigeon", "identity": "bob"}},
        {"destination": None},
        {"sdp": {"type": "answer", "sdp": "v=0\r\n"}},
        {"sdp": {"type": "offer", "sdp": "v=0\r\n" + "x" * 65_536}},
        {"publicCallHeaders": {"x": "y" * 1024}},
    ],
)
async def test_a_call_request_that_makes_no_sense_is_refused(phone: MakePhone, changes: dict[str, Any]) -> None:
    ada, _ = await phone("ada").registered(), await phone("bob").registered()
    answer = await ada.call("bob", **changes)
    assert (answer.status, answer.body["code"]) == (400, 40001)
    assert answer.body["message"]
