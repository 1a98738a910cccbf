"""The older dialect over HTTP: users, instances, configuration, calls, transports, and what is refused."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from sinchphone.protocol.auth import sign_request, sign_user_ticket
from sinchphone.protocol.mxp.fragments import Reassembler, parse_fragment
from sinchphone.protocol.mxp.message import Method, decrypt
from sinchphone.signaling.wire import JSON_CONTENT_TYPE, write_time

ON_BOTH_STORES = True


def carol(**members: Any) -> Any:
    return {"password": "not-a-secret", "identities": [{"type": "username", "endpoint": "carol"}], **members}


async def test_the_time_is_an_iso_text(legacy: Any) -> None:
    answer = await legacy("ada").as_application("GET", "/v1/timestamp/")
    assert answer.status == 200
    assert answer.body["timestamp"].endswith("Z")


async def test_an_error_has_a_number_and_a_text_in_the_members_of_the_dialect(legacy: Any) -> None:
    answer = await legacy("ada", application="unknown").as_application("POST", "/v1/users", carol())
    assert (answer.status, answer.body["errorCode"]) == (401, 40108)
    assert "unknown" in answer.body["message"]


async def test_a_user_who_is_made_gets_a_ticket_that_starts_an_instance(legacy: Any) -> None:
    made = await legacy("carol").as_application("POST", "/v1/users", carol())
    assert made.body["user"]["identities"] == [{"type": "username", "endpoint": "carol"}]
    started = await legacy("carol").send("POST", "/v1/instance", b"{}", f"user {made.body['authorization']}")
    assert started.status in (200, 201)
    assert started.body.keys() >= {"id", "secret"}
    assert ":" not in started.body["id"]


@pytest.mark.parametrize(("kind", "endpoint"), [("email", "carol@example.org"), ("number", "+46700000001"), ("username", "carol")])
async def test_a_user_logs_in_by_any_of_the_names(legacy: Any, kind: str, endpoint: str) -> None:
    names = [("username", "carol"), ("email", "carol@example.org"), ("number", "+46700000001")]
    await legacy("carol").as_application("POST", "/v1/users", carol(identities=[{"type": one, "endpoint": name} for one, name in names]))
    path = f"/v1/users/{kind}/{endpoint}/authentication"
    answer = await legacy("carol").as_application("POST", path, {kind: endpoint, "password": "not-a-secret", "expiresIn": 86400})
    assert answer.status == 200
    assert {"type": "username", "endpoint": "carol"} in answer.body["user"]["identities"]


async def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(legacy: Any) -> None:
    await legacy("carol").as_application("POST", "/v1/users", carol())
    wrong = await legacy("x").as_application("POST", "/v1/users/username/carol/authentication", {"password": "guessed"})
    unknown = await legacy("x").as_application("POST", "/v1/users/username/nobody/authentication", {"password": "guessed"})
    assert (wrong.status, wrong.body["message"]) == (unknown.status, unknown.body["message"]) == (401, "wrong user or password")


async def test_guessing_passwords_is_stopped(legacy: Any) -> None:
    await legacy("carol").as_application("POST", "/v1/users", carol())
    statuses = set()
    for guess in range(12):
        path = "/v1/users/username/carol/authentication"
        statuses.add((await legacy("x").as_application("POST", path, {"password": f"guess-{guess}"})).status)
    assert statuses == {401, 429}


async def test_taking_over_a_user_by_making_it_again_is_refused(legacy: Any, phone: Any) -> None:
    await legacy("carol").as_application("POST", "/v1/users", carol())
    assert (await legacy("carol").as_application("POST", "/v1/users", carol(password="another-one"))).status == 409
    await phone("bob").registered()  # known by a token only
    bob = {"password": "another-one", "identities": [{"type": "username", "endpoint": "bob"}]}
    assert (await legacy("bob").as_application("POST", "/v1/users", bob)).status == 409


async def test_a_changed_password_is_the_one_that_opens(legacy: Any) -> None:
    made = await legacy("carol").as_application("POST", "/v1/users", carol())
    assert made.status in (200, 201)
    phone = await legacy("carol").started()
    assert (await phone.ask("PUT", "/v1/user/password", {"oldPassword": "wrong-one", "newPassword": "brand-new"})).status == 401
    assert (await phone.ask("PUT", "/v1/user/password", {"oldPassword": "not-a-secret", "newPassword": "brand-new"})).status == 200
    path = "/v1/users/username/carol/authentication"
    assert (await phone.as_application("POST", path, {"password": "not-a-secret"})).status == 401
    assert (await phone.as_application("POST", path, {"password": "brand-new"})).status == 200


async def test_a_profile_is_kept(legacy: Any) -> None:
    await legacy("carol").as_application("POST", "/v1/users", carol())
    phone = await legacy("carol").started()
    await phone.ask("PATCH", "/v1/user/profile", {"contact": {"email": "c@example.org"}})
    profile = (await phone.ask("GET", "/v1/user/profile")).body
    assert profile["profile"] == {"contact": {"email": "c@example.org"}}


async def test_a_renewed_secret_replaces_the_old_one_and_nothing_else(legacy: Any) -> None:
    phone = await legacy("ada").started()
    path = f"/v1/instances/id/{phone.instance}/authorization"
    renewed = await phone.send("PUT", path, b'{"services": {"calling": ["im"]}}', f"user {phone.ticket()}")
    assert renewed.body["id"] == phone.instance
    assert (await phone.ask("GET", "/v1/configuration/user")).status == 401
    config = await phone.ask("GET", "/v1/configuration/user", secret=base64.b64decode(renewed.body["secret"]))
    assert config.body["rtcProfile"] == phone.config["rtcProfile"]


@pytest.mark.parametrize("whose", ["nobody's", "another user's"])
async def test_renewing_an_instance_that_one_does_not_have_leads_the_client_to_make_a_new_one(legacy: Any, whose: str) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    instance = str(uuid.uuid4()) if whose == "nobody's" else bob.instance
    answer = await ada.send("PUT", f"/v1/instances/id/{instance}/authorization", b"{}", f"user {ada.ticket()}")
    assert answer.body["errorCode"] == 40400


async def test_the_devices_of_a_user_share_the_transport_channel_only(legacy: Any) -> None:
    first, second = await legacy("ada").started(), await legacy("ada").started()
    profiles = first.config["rtcProfile"], second.config["rtcProfile"]
    assert profiles[0]["transportChannel"] == profiles[1]["transportChannel"]
    for name in ("broadcastChannel", "signalChannel", "key"):
        assert profiles[0][name] != profiles[1][name]


async def invite_to(phone: Any, token: str) -> tuple[str, Any]:
    """The next INVITE on the phone's broadcast channel: call id and message."""
    whole = Reassembler()
    async with asyncio.timeout(10):
        while True:
            frames, token = await phone.poll(token)
            for frame in frames:
                fragment = parse_fragment(frame)
                text = whole.push(fragment, time.monotonic())
                if text is not None:
                    return fragment.session_id, decrypt(text, base64.b64decode(phone.config["rtcProfile"]["key"]))


async def test_a_call_reaches_the_callee_with_the_address_that_the_caller_will_use(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    _, token = await bob.poll()
    placed = await ada.call("bob", headers={"p2p": "yes", "ph": '{"topic":"lunch"}'})
    assert placed.body["body"] == "\n"
    assert placed.body["instances"][0]["instanceId"] == bob.instance
    call_id, invite = await invite_to(bob, token)
    assert (invite.method, invite.sender.user_id) == (Method.INVITE, "ada")
    assert invite.sender.instance_id == f"{ada.instance}:650223357"
    assert invite.sender.channel == ada.config["rtcProfile"]["signalChannel"]
    assert invite.headers["key"] == placed.body["encryptionKey"]
    assert json.loads(invite.headers["ph"]) == {"topic": "lunch"}
    assert call_id


async def test_users_of_both_dialects_call_each_other(legacy: Any, phone: Any) -> None:
    ada, bob = await legacy("ada").started(), await phone("bob").registered()
    await ada.poll()
    await bob.subscribe("broadcast")
    assert (await ada.call("bob")).body["instances"][0]["instanceId"] == bob.instance
    assert (await bob.call("ada")).body["instances"][0]["id"] == ada.instance


async def test_an_instance_that_takes_no_calls_is_not_invited(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started("im")
    await bob.poll()
    answer = await ada.call("bob")
    assert (answer.status, answer.body["errorCode"]) == (404, 40400)


async def test_users_of_both_dialects_share_a_transport(legacy: Any, phone: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    there = (await ada.ask("POST", "/v1/transport", [{"identity": "bob"}])).body
    back = (await bob.ask("POST", "/v1/transport", [{"identity": "ada"}])).body
    assert (there["transportId"], there["key"]) == (back["transportId"], back["key"])
    assert [one["channel"] for one in there["participants"]] == [bob.config["rtcProfile"]["transportChannel"]]
    found = (await bob.ask("GET", f"/v1/transport?transportId={there['transportId']}&")).body
    assert {one["destination"]["identity"] for one in found["participants"]} == {"ada", "bob"}
    registered = await phone("ocra").registered()
    assert (await ada.ask("POST", "/v1/transport", [{"identity": "ocra"}])).body["participants"][0]["channel"].startswith("transport-")
    assert registered.profile["transportChannel"]


async def test_an_unknown_recipient_is_left_out(legacy: Any) -> None:
    ada = await legacy("ada").started()
    assert (await ada.ask("POST", "/v1/transport", [{"identity": "nobody"}])).body["participants"] == []


async def test_recipients_are_found_by_e_mail_and_number(legacy: Any) -> None:
    names = [{"type": "email", "endpoint": "c@example.org"}, {"type": "number", "endpoint": "+46700000001"}]
    ada = await legacy("ada").started()
    await ada.as_application("POST", "/v1/users", {"password": "not-a-secret", "identities": names})
    asked = [{"type": "email", "identity": "c@example.org"}]
    by_email = (await ada.ask("POST", "/v1/transport", asked)).body["participants"]
    by_number = (await ada.ask("POST", "/v1/transport", [{"type": "number", "identity": "+46700000001"}])).body["participants"]
    assert by_email[0]["channel"] == by_number[0]["channel"]
    assert by_email[0]["destination"] == asked[0]


async def test_reports_and_pushes_are_taken(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    counts = {"version": "2.0", "sent": 1, "received": 2, "failed": 0}
    assert (await ada.ask("POST", "/v1/report/im", counts)).status == 200
    assert (await ada.as_application("POST", "/v1/report/im", counts)).status == 200  # after it gave its session up
    call_id = (await ada.call("bob", callId="4fa6ad49-549d-4ae3-9f71-11fd82dbebbb")) and "4fa6ad49-549d-4ae3-9f71-11fd82dbebbb"
    push = {"messages": [{"sessionId": call_id, "to": [{"instance": bob.instance}]}]}
    assert (await ada.ask("POST", "/v1/push", push)).status == 200  # it listens
    report = {"callId": "c", "domain": "data", "result": 5}
    assert (await ada.ask("PUT", "/v1/calls/connection/id/c", report)).status == 200


# Attacks


async def test_a_forged_signature_is_refused(legacy: Any) -> None:
    ada = await legacy("ada").started()
    answer = await ada.ask("GET", "/v1/configuration/user", secret=b"x" * 32)
    assert (answer.status, answer.body["errorCode"]) == (401, 40108)
    assert "signature" in answer.body["message"]


async def test_a_made_up_signature_is_refused(legacy: Any) -> None:
    ada, eve = await legacy("ada").started(), await legacy("eve").started()
    signed = await ada.ask("GET", "/v1/configuration/user")
    assert signed.status == 200
    answer = await eve.send("GET", "/v1/configuration/user", b"", f"instance {ada.instance}:{'A' * 43}=", write_time(time.time()))
    assert answer.status == 401


async def test_an_old_signature_is_refused(legacy: Any) -> None:
    ada = await legacy("ada").started()
    answer = await ada.ask("GET", "/v1/configuration/user", signed_at=time.time() - 3600)
    assert "timestamp" in answer.body["message"]
    assert answer.status == 401


async def test_a_replayed_call_is_placed_once(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    await bob.poll()
    at, call_id = time.time(), str(uuid.uuid4())
    members = {"cli": "", "destination": {"type": "username", "endpoint": "bob"}, "callId": call_id}
    body = {**members, "sdp": {"type": "offer", "sdp": "v=0\r\n"}}
    assert (await ada.ask("POST", "/v1/calls/data", body, signed_at=at)).status == 200
    await ada.ask("PUT", f"/v1/calls/data/id/{call_id}", {"callId": call_id})  # the call is over
    replayed = await ada.ask("POST", "/v1/calls/data", body, signed_at=at)
    assert replayed.status == 409
    assert "before" in replayed.body["message"]


async def test_a_ticket_of_another_application_is_refused(legacy: Any) -> None:
    ada = legacy("ada")
    forged = ada.ticket(application="globex")  # names globex, signed by acme
    answer = await ada.send("POST", "/v1/instance", b"{}", f"user {forged}")
    assert answer.status == 401
    assert "signature" in answer.body["message"]


async def test_a_ticket_from_the_future_is_refused(legacy: Any) -> None:
    ada = legacy("ada")
    answer = await ada.send("POST", "/v1/instance", b"{}", f"user {ada.ticket(created_at=time.time() + 3600)}")
    assert answer.status == 401
    assert "future" in answer.body["message"]


async def test_an_expired_ticket_is_refused(legacy: Any) -> None:
    ada = legacy("ada")
    answer = await ada.send("POST", "/v1/instance", b"{}", f"user {ada.ticket(created_at=time.time() - 90_000)}")
    assert answer.status == 401
    assert "expired" in answer.body["message"]


@pytest.mark.parametrize("ticket", ["", "x", "e30=:e30=", "bnVsbA==:", "A" * 9000, "W10=:AAAA", "%"])
async def test_a_garbage_ticket_is_refused(legacy: Any, ticket: str) -> None:
    assert (await legacy("ada").send("POST", "/v1/instance", b"{}", f"user {ticket}")).status == 401


async def test_a_ticket_changed_after_it_was_signed_is_refused(legacy: Any) -> None:
    content, _, signature = legacy("ada").ticket().partition(":")
    changed = base64.b64encode(base64.b64decode(content).replace(b'"ada"', b'"bob"')).decode()
    assert (await legacy("ada").send("POST", "/v1/instance", b"{}", f"user {changed}:{signature}")).status == 401


async def test_a_transport_that_one_is_not_part_of_is_kept_secret(legacy: Any) -> None:
    ada, _, eve = await legacy("ada").started(), await legacy("bob").started(), await legacy("eve").started()
    transport = (await ada.ask("POST", "/v1/transport", [{"identity": "bob"}])).body
    answer = await eve.ask("GET", f"/v1/transport?transportId={transport['transportId']}")
    assert (answer.status, answer.body["errorCode"]) == (403, 40301)
    assert transport["key"] not in json.dumps(answer.body)


async def test_a_message_to_oneself_is_refused(legacy: Any) -> None:
    answer = await (ada := await legacy("ada").started()).ask("POST", "/v1/transport", [{"identity": "ada"}])
    assert answer.status == 400
    assert "oneself" in answer.body["message"]
    assert (await ada.ask("POST", "/v1/transport", [])).status == 400


async def test_a_flood_of_requests_from_one_device_is_stopped_and_harms_no_other(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    answers = [await ada.ask("GET", "/v1/user/profile") for _ in range(260)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert "too often" in refused[0].body["message"]
    assert (await bob.ask("GET", "/v1/user/profile")).status == 200


async def test_a_flood_of_messages_from_one_user_is_stopped_over_any_connection_and_harms_no_other(
    start_exchange: Any, legacy: Any
) -> None:
    strict = await start_exchange(publishes_at_once=20, publishes_a_second=1)
    ada = await legacy("ada", url=strict.url).started()
    answers = [await ada.publish("some-channel", "flood") for _ in range(40)]
    assert {answer.status for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert "slow down" in refused.body[1]
    bob = await legacy("bob", url=strict.url).started()
    async with aiohttp.ClientSession() as session:
        assert (await replace(ada, session=session).publish("some-channel", "flood")).status == 429
    assert (await bob.publish("some-channel", "calm")).status == 200


@pytest.mark.parametrize(
    "body", ["[]", "null", '{"destination": 1}', '{"sdp": {}}', "\x00", '{"callId": "x", "destination": {"type": "moon"}}', "[" * 9000]
)
async def test_a_garbage_call_is_refused(legacy: Any, body: str) -> None:
    ada, stamp = await legacy("ada").started(), write_time(time.time())
    signature = sign_request("POST", "/v1/calls/data", body.encode(), JSON_CONTENT_TYPE, stamp, ada.secret)
    answer = await ada.send("POST", "/v1/calls/data", body.encode(), f"instance {ada.instance}:{signature}", stamp)
    assert answer.status == 400
    assert answer.body["errorCode"] == 40001


async def test_a_ticket_whose_json_is_written_otherwise_is_verified_over_the_bytes_received(legacy: Any) -> None:
    ada = legacy("ada")
    made = json.loads(base64.b64decode(ada.ticket().partition(":")[0]))
    spaced = json.dumps(made, indent=2, sort_keys=True).encode()
    signature = hmac.digest(b"a" * 16, spaced, hashlib.sha256)
    ticket = f"{base64.b64encode(spaced).decode()}:{base64.b64encode(signature).decode()}"
    assert (await ada.send("POST", "/v1/instance", b"{}", f"user {ticket}")).status in (200, 201)
    assert sign_user_ticket("acme", b"a" * 16, "ada", created_at=0.0) != ticket
