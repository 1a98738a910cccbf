"""Replay: a request that was captured is not served again, however its header is spelt."""

import base64
import json
import time
from typing import Any
from uuid import uuid4

import pytest

from sinchphone.exchange.directory.replay import MAX_SIGNATURES, Served
from sinchphone.exchange.refusals import RefusedError
from sinchphone.protocol.auth import sign_request
from sinchphone.signaling.ocra.names import OPERATIONS, OcraOperation
from sinchphone.signaling.wire import JSON_CONTENT_TYPE, write_time

ON_BOTH_STORES = ("test_replay_of_a_request_that_failed_the_first_time", "test_replay_with_another_spelling_of_the_signature")
SPELLINGS = ["Instance {}", "instance {}", "INSTANCE {}", "Instance  {}", "Instance   {}  ", " Instance {}", "iNsTaNcE  {}"]


async def captured_call(phone: Any, callee: str) -> tuple[str, bytes, str, str]:
    """A call as it was seen on the wire: path, body, what follows the scheme, time stamp."""
    body = {
        "callId": uuid4().hex,
        "destination": {"domain": "mxp", "type": "userId", "identity": callee},
        "sdp": {"type": "offer", "sdp": "v=0\r\n"},
    }
    endpoint = OPERATIONS[OcraOperation.PLACE_CALL]
    path, content, stamp = endpoint.path(user=phone.user, instance=phone.instance), json.dumps(body).encode(), write_time(time.time())
    signature = sign_request(endpoint.verb, path, content, JSON_CONTENT_TYPE, stamp, phone.secret)
    return path, content, f"{phone.instance}:{signature}", stamp


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_replay_by_another_spelling_of_the_authorization_header(phone: Any, spelling: str) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    await bob.subscribe("broadcast")
    path, content, credentials, stamp = await captured_call(ada, "bob")
    first = await ada.send("POST", path, content, f"Instance {credentials}", stamp)
    again = await ada.send("POST", path, content, spelling.format(credentials), stamp)
    assert (first.status, again.status) == (200, 409), again.body


async def test_replay_of_a_request_that_failed_the_first_time(phone: Any) -> None:
    ada = await phone("ada").registered()
    path, content, credentials, stamp = await captured_call(ada, "bob")
    assert (await ada.send("POST", path, content, f"Instance {credentials}", stamp)).status == 404
    bob = await phone("bob").registered()
    await bob.subscribe("broadcast")
    assert (await ada.send("POST", path, content, f"instance  {credentials}", stamp)).status == 409


async def test_replay_with_another_spelling_of_the_signature(phone: Any) -> None:
    ada = await phone("ada").registered()
    path, content, credentials, stamp = await captured_call(ada, "bob")
    instance, _, signature = credentials.rpartition(":")
    assert base64.b64decode(signature)
    for spelt in (signature.rstrip("="), f"{signature}=", f"{signature[:-2]}{chr(ord(signature[-2]) + 1)}=", signature.replace("+", "-")):
        if spelt != signature:
            answer = await ada.send("POST", path, content, f"Instance {instance}:{spelt}", stamp)
            assert answer.status == 401, spelt


def test_a_signature_counts_as_long_as_its_time_stamp_is_good() -> None:
    served = Served(600.0)
    served.claim("device", "signature", 0.0)
    served.claim("other device", "signature", 1.0)
    with pytest.raises(RefusedError):
        served.claim("device", "signature", 600.0)
    served.claim("device", "signature", 601.0)


def test_flushing_the_memory_of_signatures_does_not_help_a_replay() -> None:
    served = Served(600.0)
    served.claim("victim", "signature", 0.0)
    for number in range(MAX_SIGNATURES):
        served.claim("attacker", str(number), 1.0)
    with pytest.raises(RefusedError):
        served.claim("attacker", "one more", 1.0)
    with pytest.raises(RefusedError):
        served.claim("victim", "signature", 2.0)


def test_signers_who_came_once_are_forgotten_with_their_signatures() -> None:
    served = Served(600.0)
    for number in range(1_000):
        served.claim(f"browser {number}", "signature", float(10 * number))
    assert len(served._signatures) <= 122
