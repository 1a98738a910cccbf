"""The Ocra dialect when the platform refuses, disagrees about the time, talks nonsense or isn't there."""

import asyncio
import base64
import re
import socket
from typing import Any

import pytest
from aiohttp import web

from sinchphone.errors import AuthenticationError, ConfigError, ForbiddenError, NetworkError, NotFoundError, PlatformError
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.signaling.dialect import CallRequest, Domain, Placement, RemoteInstance
from sinchphone.signaling.ocra.names import OcraOperation
from sinchphone.signaling.rest import requests as rest
from sinchphone.signaling.wire import ErrorCode

CALL = CallRequest("c-1", Domain.MXP, "bob", Description("offer", "v=0\r\n"), None, {"a": "ä"})
PLACEMENT = Placement("c-1", b"k" * 16, "s-2", (RemoteInstance("i-7", ("push",)), RemoteInstance("i-8")))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, ErrorCode.UNKNOWN_INSTANCE, AuthenticationError),
        (403, ErrorCode.FORBIDDEN, ForbiddenError),
        (404, ErrorCode.NOT_FOUND, NotFoundError),
        (400, ErrorCode.INVALID_REQUEST, PlatformError),
        (500, ErrorCode.INTERNAL, PlatformError),
        (503, ErrorCode.INTERNAL, PlatformError),
    ],
)
async def test_a_refusal_becomes_an_error_with_the_platforms_words(platform: Any, dialect: Any, status: int, code: int, error: Any) -> None:
    platform.refuse(OcraOperation.PLACE_CALL, status, code, "bob is out")
    with pytest.raises(error, match="can't place the call: bob is out") as caught:
        await dialect.place_call(CALL)
    if error is PlatformError:
        assert (caught.value.status, caught.value.code) == (status, code)
    assert platform.operations == [OcraOperation.PLACE_CALL]


@pytest.mark.parametrize("status", [302, 404, 418, 204])
async def test_an_answer_that_is_not_the_platforms_names_operation_and_status(platform: Any, dialect: Any, status: int) -> None:
    platform.answers[OcraOperation.PLACE_CALL] = web.Response(status=status, headers={"Location": "/login"})
    with pytest.raises(PlatformError, match=f"can't place the call: the platform answered {status}") as caught:
        await dialect.place_call(CALL)
    assert platform.base_url in caught.value.hint


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"<html>", "the body should be JSON, but isn't"),
        (b"[]", "the body should be an object, but is a list"),
        (b"", "callId should be an identifier, but is absent"),
        (b'{"callId":"c"}', "mxpEncryptionKey should be base64, but is absent"),
        (b'{"callId":"c","mxpEncryptionKey":"xx"}', "mxpEncryptionKey should be base64, but is another text"),
        (
            b'{"callId":"c","mxpEncryptionKey":"' + base64.b64encode(b"k" * 16) + b'"}',
            "mxpSignalChannel should be a channel name, but is absent",
        ),
    ],
)
async def test_an_answer_that_does_not_fit_names_operation_status_and_first_member(
    platform: Any, dialect: Any, body: Any, complaint: Any
) -> None:
    platform.answers[OcraOperation.PLACE_CALL] = web.Response(body=body)
    with pytest.raises(PlatformError) as caught:
        await dialect.place_call(CALL)
    assert str(caught.value) == f"can't place the call: the platform answered 200, but {complaint}"
    assert caught.value.status == 200


async def test_attack_an_answer_without_end_is_not_read_to_its_end(platform: Any, dialect: Any) -> None:
    platform.answers[OcraOperation.PLACE_CALL] = web.Response(body=b" " * 10_000_000)
    with pytest.raises(PlatformError, match="longer than"):
        await dialect.place_call(CALL)


@pytest.mark.parametrize("difference_s", [-7200, -90, 90, 7200])
async def test_a_clock_that_is_off_is_corrected_once_and_the_request_repeated(platform: Any, dialect: Any, difference_s: Any) -> None:
    platform.clock_ahead_s = difference_s
    assert await dialect.place_call(CALL) == PLACEMENT
    await dialect.ice_servers()
    assert platform.operations == [OcraOperation.PLACE_CALL, OcraOperation.PLACE_CALL, OcraOperation.GET_ICE_SERVERS]


async def test_a_refusal_that_only_the_clock_explains_is_tried_again_whatever_it_says(platform: Any, dialect: Any) -> None:
    platform.clock_ahead_s = 7200
    platform.answers[OcraOperation.PLACE_CALL] = web.Response(status=403)
    assert await dialect.place_call(CALL) == PLACEMENT


async def test_a_refusal_about_the_clock_when_the_clock_is_right_is_not_repeated(platform: Any, dialect: Any) -> None:
    platform.refuse(OcraOperation.PLACE_CALL, 401, ErrorCode.CLOCK_DIFFERENCE, "your clock is odd")
    with pytest.raises(AuthenticationError, match="your clock is odd"):
        await dialect.place_call(CALL)
    assert platform.operations == [OcraOperation.PLACE_CALL]


async def test_a_small_difference_of_clocks_does_not_explain_a_refusal(platform: Any, dialect: Any) -> None:
    platform.clock_ahead_s = 10
    platform.refuse(OcraOperation.PLACE_CALL, 403, ErrorCode.FORBIDDEN, "calls are off")
    with pytest.raises(ForbiddenError, match="calls are off"):
        await dialect.place_call(CALL)
    assert platform.operations == [OcraOperation.PLACE_CALL]


async def test_a_token_that_is_refused_for_the_clock_says_so(platform: Any, dialect_for: Any) -> None:
    platform.clock_ahead_s = 7200
    with pytest.raises(AuthenticationError) as caught:
        await dialect_for().register()
    assert re.search(r"clock differs from the platform's by 7(199|200|201) s", caught.value.hint)


async def test_nobody_listening_there_is_a_network_error_with_a_hint(dialect_for: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NetworkError, match=f"nobody answers at 127.0.0.1:{port}") as caught:
        await dialect_for(base_url=f"http://127.0.0.1:{port}").register()
    assert "exchange" in caught.value.hint


async def test_a_host_that_does_not_exist_is_a_network_error_with_a_hint(dialect_for: Any) -> None:
    with pytest.raises(NetworkError, match=r"no-such-host\.invalid can't be found") as caught:
        await dialect_for(base_url="http://no-such-host.invalid").register()
    assert "host name" in caught.value.hint


async def test_a_platform_without_tls_where_tls_is_expected_is_a_network_error(platform: Any, dialect_for: Any) -> None:
    with pytest.raises(NetworkError, match="no secure connection"):
        await dialect_for(base_url=platform.base_url.replace("http:", "https:")).register()


async def test_a_platform_that_never_answers_is_a_network_error(dialect_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "TIMEOUT_S", 0.1)
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(NetworkError, match=f"no answer from 127.0.0.1:{port}"):
        await dialect_for(base_url=f"http://127.0.0.1:{port}").register()
    silent.close()


async def test_a_platform_that_hangs_up_is_a_network_error(dialect_for: Any) -> None:
    async def hang_up(_: Any, writer: Any) -> None:
        writer.close()

    rude = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = rude.sockets[0].getsockname()[1]
    with pytest.raises(NetworkError, match="was cut"):
        await dialect_for(base_url=f"http://127.0.0.1:{port}").register()
    rude.close()


@pytest.mark.parametrize("base_url", ["ocra.api.sinch.com", "ftp://x", "http://", "http://a?b", "http://user@host", "http://[x"])
def test_an_address_that_is_none_is_a_config_error(dialect_for: Any, base_url: Any) -> None:
    with pytest.raises(ConfigError):
        dialect_for(base_url=base_url)
