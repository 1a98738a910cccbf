"""What the official JavaScript client 1.4.12 was recorded sending is read by our code, to the byte."""

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.auth import decode_secret, sign_request, sign_user_ticket, string_to_sign, verify_request, verify_user_ticket
from sinchphone.protocol.mxp.message import (
    Message,
    Method,
    Reassembler,
    decode_client,
    decrypt,
    encode_client,
    encrypt,
    from_json,
    parse_fragment,
    split,
    to_json,
)

VECTORS = Path(__file__).parents[1] / "vectors"
SAMPLES = json.loads((VECTORS / "vectors.json").read_text())
TRANSCRIPTS = sorted(path.stem for path in VECTORS.glob("*.jsonl"))


def source(sample: dict[str, Any]) -> str:
    return "-".join(map(str, sample["source"]))


def records(name: str, kind: str) -> list[dict[str, Any]]:
    lines = (VECTORS / f"{name}.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def keys_of(name: str) -> list[bytes]:
    """The session, transport and instance keys of a recording."""
    entries = json.loads((VECTORS / f"{name}.keys.json").read_text())["keys"]
    return [decode_secret(entry["key"]) for entry in entries if "key" in entry]


def decrypt_with_any(payload: str, keys: list[bytes]) -> Message:
    """The message under the one key that fits; the others must say so in the agreed way."""
    read = []
    for key in keys:
        try:
            read.append(decrypt(payload, key))
        except RemoteProtocolError:
            continue
    assert len(read) == 1
    return read[0]


def assert_says(message: Message, body: dict[str, Any]) -> None:
    """The message has exactly what the recorded body has, absent and null members being empty."""
    sender = message.sender
    assert message.method == body["md"]
    assert message.body_type == (body.get("bt") or "null")
    assert message.body == (body.get("bd") or "")
    assert message.headers == (body.get("nvps") or {})
    assert {"fu": sender.user_id, "fi": sender.instance_id, "fd": sender.device, "fs": sender.channel, "fc": sender.caller_id} == {
        name: body.get(name) or "" for name in ("fu", "fi", "fd", "fs", "fc")
    }
    assert sender.sub_instance == str(body.get("fsi") or "")
    assert not body.keys() - {"md", "bt", "bv", "bd", "nvps", "fu", "fi", "fd", "fs", "fc", "fsi"}


def test_the_recordings_are_there() -> None:
    assert len(TRANSCRIPTS) == 10
    assert sum(bool(record["body"]) for name in TRANSCRIPTS for record in records(name, "mxp")) == 53


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_every_recorded_frame_reassembles_and_decrypts_to_the_recorded_body(name: str) -> None:
    keys, reassemblers = keys_of(name), defaultdict[str, Reassembler](Reassembler)
    for record in records(name, "mxp"):
        # the same frames go to several channels: the channel stands for the connection that hears them
        fragment = parse_fragment(record["raw"])
        payload = reassemblers[record["channel"]].push(fragment, record["t"])
        assert (payload is None) == (record["body"] is None)
        if payload is not None:
            assert len(payload) == record["decoded"]["payloadChars"]
            assert fragment.count == record["decoded"]["frames"]
            message = decrypt_with_any(payload, keys)
            assert_says(message, record["body"])
            assert from_json(to_json(message)) == message


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_every_recorded_request_verifies_and_signs(name: str) -> None:
    for record in records(name, "rest"):
        request, auth = record["req"], record["auth"]
        if auth["kind"] != "instance":
            continue
        headers = {header.lower(): value for header, value in request["headers"]}
        body = request["body"].encode() if request["body"] else None
        parts = (request["method"], request["url"], body, headers["content-type"], headers["x-timestamp"])
        signature = headers["authorization"].rpartition(":")[2]
        assert string_to_sign(*parts) == auth["stringToSign"]
        assert verify_request(*parts, decode_secret(auth["secret"]), signature)


@pytest.mark.parametrize("sample", SAMPLES["frames"], ids=source)
def test_every_sample_message_is_read_and_written_again(sample: dict[str, Any]) -> None:
    key, reassembler = decode_secret(sample["key"]), Reassembler()
    *nothing, payload = [reassembler.push(parse_fragment(frame), 0.0) for frame in sample["frames"]]
    assert not any(nothing)
    assert payload is not None
    message = decrypt(payload, key)
    assert_says(message, json.loads(sample["plaintext"]))
    assert f"{message.method.value}_{message.body_type}" == sample["type"]
    again = encrypt(message, key, bytes.fromhex(sample["iv"]))
    frames = split(again, "session", "12345")
    reassembled = [reassembler.push(parse_fragment(frame), 0.0) for frame in frames][-1]
    assert reassembled is not None
    assert decrypt(reassembled, key) == message


@pytest.mark.parametrize("sample", SAMPLES["frames"], ids=source)
def test_every_sample_frame_is_cut_as_the_recorded_client_cut_it(sample: dict[str, Any]) -> None:
    fragments = [parse_fragment(frame) for frame in sample["frames"]]
    first, payload = fragments[0], "".join(fragment.payload for fragment in fragments)
    tail = f" {first.transport_id}" if first.transport_id else ""
    overhead = len(f"10 {first.session_id} {first.tag} 512 512 {tail}")
    frames = split(payload, first.session_id, first.tag, first.transport_id, frame_characters=overhead + len(first.payload))
    assert frames == sample["frames"]


def test_a_recorded_joined_names_a_client_that_comes_back() -> None:
    sample = next(sample for sample in SAMPLES["frames"] if sample["type"] == "4_client")
    message = decrypt(parse_fragment(sample["frames"][0]).payload, decode_secret(sample["key"]))
    assert message.method is Method.JOINED
    client = decode_client(message.body)
    assert client.user_id == "bob"
    assert decode_client(encode_client(client)) == client


@pytest.mark.parametrize("sample", SAMPLES["signatures"], ids=source)
def test_every_sample_signature_is_ours(sample: dict[str, Any]) -> None:
    body = None if sample["body"] is None else sample["body"].encode()
    parts = (sample["method"], sample["url"], body, sample["contentType"], sample["xTimestamp"])
    assert string_to_sign(*parts) == sample["stringToSign"]
    assert sign_request(*parts, decode_secret(sample["instanceSecret"])) == sample["authorization"].rpartition(":")[2]


@pytest.mark.parametrize("sample", SAMPLES["tickets"], ids=source)
def test_every_sample_ticket_verifies_and_is_signed_alike(sample: dict[str, Any]) -> None:
    fields = json.loads(sample["ticketData"])
    ticket, secret = sample["authorization"].removeprefix("user "), decode_secret(sample["applicationSecret"])
    created_at = datetime.fromisoformat(fields["created"]).timestamp()
    claims = verify_user_ticket(ticket, application_key=sample["applicationKey"], secret=secret, now=created_at + 5)
    assert claims.user_id == fields["identity"]["endpoint"]
    assert (claims.created_at, claims.expires_at) == (created_at, created_at + 86_400)
    assert sign_user_ticket(sample["applicationKey"], secret, claims.user_id, created_at=claims.created_at) == ticket
