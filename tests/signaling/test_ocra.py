"""The Ocra dialect: registration and its upkeep, calls, push and reports."""

import asyncio
import base64
import gzip
import json
import time
from typing import Any

import pytest
from aiohttp import web

from sinchphone.errors import AuthenticationError, LocalProtocolError, NetworkError, PlatformError
from sinchphone.protocol.auth import sign_registration_token
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.signaling.dialect import (
    CallReport,
    CallRequest,
    Dialect,
    Domain,
    Instance,
    OfferedIceServer,
    Placement,
    Profile,
    PubSubConfig,
    RemoteInstance,
)
from sinchphone.signaling.ocra import calls as wire_calls
from sinchphone.signaling.ocra.names import OcraOperation
from sinchphone.signaling.rest.instances import InstanceKey, StoredInstance, is_prolonging_due
from sinchphone.signaling.wire import ErrorCode

APPLICATION = "app-1"
SECRET = b"application secret"
DAY = 86_400.0
CALL = CallRequest("c-1", Domain.MXP, "bob", Description("offer", "v=0\r\n"), None, {"a": "ä"})
PLACEMENT = Placement("c-1", b"k" * 16, "s-2", (RemoteInstance("i-7", ("push",)), RemoteInstance("i-8")))


async def stored(store: Any, platform: Any) -> Any:
    slot = store.claim(InstanceKey(platform.base_url, APPLICATION, "alice"))
    try:
        return slot.load()
    finally:
        slot.release()


def test_it_is_a_dialect(dialect_for: Any) -> None:
    speaking: Dialect = dialect_for()
    assert speaking


async def test_registering_gives_instance_networks_and_profile(platform: Any, dialect_for: Any) -> None:
    registration = await dialect_for().register()
    assert registration.instance == platform.instances["i-1"]
    assert registration.pubsub == PubSubConfig("ps.example", True, "b", "s", "p")
    assert registration.profile == Profile("b-1", "s-1", b"k" * 16)
    assert platform.operations == [OcraOperation.CREATE_INSTANCE]


async def test_the_next_run_takes_up_the_stored_instance_and_needs_no_token(platform: Any, dialect_for: Any) -> None:
    first = dialect_for()
    await first.register()
    await first.close()
    second = dialect_for(token="not even a token")
    assert (await second.register()).instance == platform.instances["i-1"]
    assert platform.operations == [OcraOperation.CREATE_INSTANCE, OcraOperation.GET_CONFIG]


async def test_two_programs_of_one_user_at_the_same_time_are_two_devices(platform: Any, dialect_for: Any) -> None:
    instances = [(await dialect_for().register()).instance for _ in range(2)]
    assert instances[0].id != instances[1].id
    assert instances[1].device_id == f"{instances[0].device_id}-2"


async def test_an_instance_that_the_platform_has_forgotten_is_registered_anew(platform: Any, dialect_for: Any) -> None:
    first = dialect_for()
    await first.register()
    await first.close()
    platform.instances = {"other": None}
    second = dialect_for()
    assert (await second.register()).instance.id == "i-2"
    await second.close()
    assert (await dialect_for().register()).instance.id == "i-2"
    assert platform.operations.count(OcraOperation.CREATE_INSTANCE) == 2


@pytest.mark.parametrize("status", [401, 404, 410])
async def test_confirming_registers_anew_when_the_platform_does_not_know_us(platform: Any, dialect: Any, status: int) -> None:
    assert (await dialect.confirm()).instance.id == "i-1"
    platform.refuse(OcraOperation.GET_CONFIG, status, ErrorCode.NOT_FOUND, "never heard of it")
    assert (await dialect.confirm()).instance.id == "i-2"
    assert platform.operations == [OcraOperation.GET_CONFIG, OcraOperation.GET_CONFIG, OcraOperation.CREATE_INSTANCE]


async def test_registering_anew_happens_once_and_then_the_refusal_is_told(platform: Any, dialect: Any) -> None:
    platform.refuse(OcraOperation.GET_CONFIG, 401, ErrorCode.UNKNOWN_INSTANCE, "who?")
    platform.refuse(OcraOperation.CREATE_INSTANCE, 401, ErrorCode.INVALID_CREDENTIALS, "no such application")
    with pytest.raises(AuthenticationError, match="can't register: no such application"):
        await dialect.confirm()
    assert platform.operations == [OcraOperation.GET_CONFIG, OcraOperation.CREATE_INSTANCE]


async def test_confirming_while_the_platform_is_down_keeps_the_instance(platform: Any, dialect: Any) -> None:
    platform.answers[OcraOperation.GET_CONFIG] = web.Response(status=502)
    with pytest.raises(PlatformError):
        await dialect.confirm()
    assert (await dialect.confirm()).instance.id == "i-1"


async def test_two_confirmations_at_once_register_once(platform: Any, dialect: Any) -> None:
    platform.instances.clear()
    registrations = await asyncio.gather(dialect.confirm(), dialect.confirm())
    assert registrations[0].instance == registrations[1].instance
    assert platform.operations.count(OcraOperation.CREATE_INSTANCE) == 1


async def test_an_expired_instance_is_not_tried(platform: Any, dialect_for: Any, store: Any) -> None:
    platform.lifetime_s = 60
    first = dialect_for()
    await first.register()
    await first.close()
    later = dialect_for(clock=lambda: time.time() + 100)
    platform.clock_ahead_s = 100
    assert (await later.register()).instance.id == "i-2"
    assert OcraOperation.GET_CONFIG not in platform.operations


@pytest.mark.parametrize(
    ("lifetime_days", "age_days", "due"),
    [(365, 180, False), (365, 186, True), (100, 49, False), (100, 51, True), (None, 10_000, False), (180, 1, True)],
)
def test_prolonging_is_due_within_the_window_or_after_half_of_a_short_life(lifetime_days: Any, age_days: Any, due: Any) -> None:
    expire_at = None if lifetime_days is None else 1000.0 + lifetime_days * DAY
    one = StoredInstance(Instance("i", b"s", "alice", "d", expire_at), 1000.0)
    assert is_prolonging_due(one, 1000.0 + age_days * DAY, 180 * DAY) is due


async def test_an_instance_that_is_due_is_prolonged_and_stored(platform: Any, dialect_for: Any, store: Any) -> None:
    platform.lifetime_s, platform.window_s = 300 * DAY, 100 * DAY
    first = dialect_for()
    await first.register()
    await first.close()
    platform.clock_ahead_s = 250 * DAY
    late = dialect_for(clock=lambda: time.time() + 250 * DAY)
    registration = await late.register()
    assert registration.instance.id == "i-1"
    assert registration.instance.expire_at == pytest.approx(time.time() + 550 * DAY, abs=60)
    await late.close()
    kept = await stored(store, platform)
    assert kept.instance == registration.instance
    assert kept.issued_at == pytest.approx(time.time() + 250 * DAY, abs=60)
    assert OcraOperation.PROLONG_INSTANCE in platform.operations


async def test_a_token_that_limits_the_registration_limits_the_instance(platform: Any, dialect_for: Any) -> None:
    registration = await dialect_for(limit=3 * 86_400).register()
    assert registration.instance.expire_at == pytest.approx(time.time() + 3 * DAY, abs=60)


async def prolonging_is_due(platform: Any, dialect_for: Any, *, token: object) -> Any:
    """The dialect of an instance that is valid for 50 days more."""
    platform.lifetime_s, platform.window_s = 300 * DAY, 100 * DAY
    first = dialect_for()
    await first.register()
    await first.close()
    platform.clock_ahead_s = 250 * DAY
    return dialect_for(clock=lambda: time.time() + 250 * DAY, token=token)


async def test_a_valid_instance_works_on_when_it_cannot_be_prolonged(platform: Any, dialect_for: Any) -> None:
    late = await prolonging_is_due(platform, dialect_for, token="not a token")
    assert (await late.register()).instance.id == "i-1"


async def test_a_valid_instance_works_on_while_the_source_of_its_tokens_is_not_reached(platform: Any, dialect_for: Any) -> None:
    """A client that comes back after an interruption waited for the tokens' backend until that was there again."""
    late = await prolonging_is_due(platform, dialect_for, token=NetworkError("the backend at token_url can't be reached"))
    assert (await late.register()).instance.id == "i-1"
    assert (await late.confirm()).instance.id == "i-1"


async def test_another_version_of_this_program_updates_its_instance(platform: Any, dialect_for: Any, store: Any) -> None:
    first = dialect_for()
    await first.register()
    await first.close()
    slot = store.claim(InstanceKey(platform.base_url, APPLICATION, "alice"))
    slot.save(StoredInstance(slot.load().instance, slot.load().issued_at, "an old version"))
    slot.release()
    second = dialect_for()
    await second.register()
    await second.confirm()
    assert platform.operations == [
        OcraOperation.CREATE_INSTANCE,
        OcraOperation.GET_CONFIG,
        OcraOperation.UPDATE_INSTANCE,
        OcraOperation.GET_CONFIG,
    ]


async def test_a_device_that_takes_no_calls_says_so_and_takes_it_back_when_it_does(platform: Any, dialect_for: Any) -> None:
    for takes_calls, operation in ((False, OcraOperation.CREATE_INSTANCE), (True, OcraOperation.UPDATE_INSTANCE)):
        one = dialect_for(takes_calls=takes_calls)
        await one.register()
        await one.close()
        said = json.loads(platform.body(operation))["capabilities"]
        assert ("outgoing-only" in said) is not takes_calls


async def test_a_token_of_another_user_is_refused_before_it_is_sent(platform: Any, dialect_for: Any) -> None:
    token = sign_registration_token(APPLICATION, SECRET, "mallory", issued_at=int(time.time()), nonce="n")
    with pytest.raises(AuthenticationError, match="another user's"):
        await dialect_for(token=token).register()
    assert platform.requests == []


async def test_a_wrong_application_secret_is_an_authentication_error_with_the_platforms_words(dialect_for: Any) -> None:
    with pytest.raises(AuthenticationError, match="can't register: registration token, signature") as caught:
        await dialect_for(secret=b"wrong").register()
    assert "secret" in caught.value.hint


async def test_a_call_is_placed_with_the_offer_and_gives_the_placement(platform: Any, dialect: Any) -> None:
    assert await dialect.place_call(CALL) == PLACEMENT
    assert wire_calls.read_call_request(platform.body(OcraOperation.PLACE_CALL)) == CALL


async def test_user_ids_with_odd_characters_are_signed_as_they_go_over_the_wire(platform: Any, dialect_for: Any) -> None:
    odd = dialect_for("a=b_c-D")
    await odd.register()
    assert await odd.place_call(CALL) == PLACEMENT


async def test_pushes_go_to_the_callees_devices_that_take_them(platform: Any, dialect: Any) -> None:
    placement = await dialect.place_call(CALL)
    await dialect.send_push("c-1", placement.instances, "Alice")
    request = wire_calls.read_push(platform.body(OcraOperation.SEND_PUSH))
    assert (request.user_id, request.instance_ids, request.display_name) == ("bob", ("i-7",), "Alice")
    assert json.loads(request.sinch)["user_id"] == "alice"


async def test_without_a_device_that_takes_pushes_nothing_is_sent(platform: Any, dialect: Any) -> None:
    await dialect.send_push("c-1", (RemoteInstance("i-8", ("p2p",)),), "Alice")
    assert platform.requests == []


async def test_a_push_for_a_call_that_was_not_placed_is_a_local_error(dialect: Any) -> None:
    with pytest.raises(LocalProtocolError):
        await dialect.send_push("c-9", PLACEMENT.instances, "Alice")


async def test_a_call_report_is_sent_compressed_and_signed_as_sent(platform: Any, dialect: Any) -> None:
    await dialect.report_call(CallReport("c-1", True, "bob", Domain.MXP, "hung_up", 100.0, 101.0, 103.0, 103.5, 110.0))
    report = json.loads(gzip.decompress(platform.body(OcraOperation.REPORT_CALL)))
    assert (report["callId"], report["result"], report["direction"]) == ("c-1", "hung_up", "outbound")
    assert (report["duration"], report["setupDuration"], report["ringingDuration"], report["acceptingDuration"]) == (10.0, 1.0, 2.0, 0.5)


async def test_ice_servers_are_given(dialect: Any) -> None:
    assert await dialect.ice_servers() == (OfferedIceServer(("stun:a",)),)


async def test_calling_before_registering_is_a_local_error(dialect_for: Any) -> None:
    with pytest.raises(LocalProtocolError, match="registration"):
        await dialect_for().place_call(CALL)


async def test_no_secret_is_in_what_is_shown_or_logged(platform: Any, dialect_for: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    registration = await dialect_for().register()
    text = repr(registration) + caplog.text
    for secret in (b"instance secret", b"k" * 16):
        assert secret.decode() not in text
        assert base64.b64encode(secret).decode()[:10] not in text
