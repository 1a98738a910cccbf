"""Texts and receipts as MXP messages."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, MessageError, RemoteProtocolError
from sinchphone.protocol.mxp.fragments import Reassembler, parse_fragment, split
from sinchphone.protocol.mxp.instant import MAX_TEXT_BYTES, Seen, Tally, is_receipt, is_text, read_text, write_receipt, write_text
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, decrypt, encrypt, from_json, to_json

ME = Client("alice", "i-1:7", "t-alice", device="i-1")
KEY = b"k" * 32


def test_a_text_is_what_the_official_client_sends() -> None:
    body = json.loads(to_json(write_text(ME, "with headers", {"k": "v", "n": "2"})))
    assert (body["md"], body["bt"], body["bd"]) == (1, "msg", '{"t":"with headers"}')
    assert body["nvps"] == {"ph": '{"k":"v","n":"2"}'}
    assert (body["fu"], body["fi"], body["fd"], body["fs"]) == ("alice", "i-1:7", "i-1", "t-alice")


def test_a_receipt_has_no_body() -> None:
    body = json.loads(to_json(write_receipt(ME)))
    assert (body["md"], body["bt"]) == (2, "msg")
    assert "bd" not in body


@given(st.text(min_size=1, max_size=200), st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3), st.booleans())
def test_any_unicode_arrives_as_it_was_written(text: str, headers: dict[str, str], receipt: bool) -> None:
    message = write_receipt(ME) if receipt else write_text(ME, text, headers)
    again = decrypt(encrypt(message, KEY, os.urandom(16)), KEY)
    assert is_receipt(again) == receipt and is_text(again) != receipt
    if not receipt:
        assert read_text(again).text == text
        assert read_text(again).headers == headers


@pytest.mark.parametrize("character", ["a", "\x01", '"', "\\", "é", "語", "🙂", "\u2028"])
def test_the_longest_text_fits_into_a_payload_whatever_is_in_it(character: str) -> None:
    text = character * (MAX_TEXT_BYTES // len(character.encode()))
    payload = encrypt(write_text(ME, text, {"h": "x" * 1000}), KEY, os.urandom(16))
    reassembler, whole = Reassembler(), None
    for frame in split(payload, "1a208f7c-c292-43fb-be26-e2868c764da6", "12", "495d53ff78f24bbd"):
        assert len(frame) <= 1400
        whole = reassembler.push(parse_fragment(frame), 0.0) or whole
    assert whole is not None
    assert read_text(decrypt(whole, KEY)).text == text


def test_a_message_of_one_megabyte_is_refused() -> None:
    with pytest.raises(MessageError, match="too long"):
        write_text(ME, "x" * 1_000_000, {})


def test_an_empty_message_is_refused() -> None:
    with pytest.raises(MessageError, match="empty"):
        write_text(ME, "", {})


def test_half_a_character_is_refused() -> None:
    with pytest.raises(MessageError, match="surrogate"):
        write_text(ME, "\ud800", {})


def test_headers_that_are_too_long_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="message headers"):
        write_text(ME, "hi", {"h": "x" * 2000})


@pytest.mark.parametrize("body", ["", "no json", "[]", "{}", '{"t":1}', "[" * 100_000])
def test_a_body_that_is_no_text_is_the_senders_fault(body: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_text(Message(Method.INVITE, ME, BodyType.TEXT, body))


def test_surrogates_that_json_smuggles_in_are_replaced() -> None:
    smuggled = from_json('{"md":1,"bt":"msg","bd":"{\\"t\\":\\"a\\\\ud800b\\"}","nvps":{"ph":"{\\"k\\":\\"\\\\ud800\\"}"}}')
    text = read_text(smuggled)
    assert text.text == "a?b"
    assert text.headers == {}


@given(st.lists(st.sampled_from(["t-bob", "t-carol", "t-stranger", "t-alice"]), max_size=30))
def test_at_most_one_receipt_counts_for_each_recipient(channels: list[str]) -> None:
    tally = Tally({"t-bob": "bob", "t-carol": "carol"})
    counted = [name for channel in channels if (name := tally.acknowledge(channel))]
    assert len(counted) == len(set(counted))
    assert set(counted) | set(tally.waiting) == {"bob", "carol"}
    assert set(counted) == {name for channel, name in (("t-bob", "bob"), ("t-carol", "carol")) if channel in channels}


def test_nobody_waits_for_a_recipient_who_was_given_up() -> None:
    tally = Tally({"t-bob": "bob"})
    tally.give_up("bob")
    assert tally.waiting == ()
    assert tally.acknowledge("t-bob") is None


def test_memory_is_bounded() -> None:
    seen: Seen[int] = Seen(limit=3)
    assert all(seen.is_new(number) for number in range(10))
    assert not seen.is_new(9)
    assert seen.is_new(0)


@given(st.data())
def test_fragments_lost_doubled_and_reordered_give_each_message_once_or_not_at_all(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=400), min_size=1, max_size=4))
    sent = {f"m-{number}": text for number, text in enumerate(texts)}
    frames = [
        frame
        for message_id, text in sent.items()
        for frame in split(encrypt(write_text(ME, text, {}), KEY, os.urandom(16)), message_id, "7", "tr-1", frame_characters=200)
    ]
    arrived = data.draw(st.lists(st.sampled_from(frames), max_size=3 * len(frames)))
    arrived += data.draw(st.permutations(frames)) if data.draw(st.booleans()) else []
    reassembler, seen, read = Reassembler(), Seen[str](), []
    for now, frame in enumerate(arrived):
        fragment = parse_fragment(frame)
        payload = reassembler.push(fragment, now / 1000)
        if payload is not None and seen.is_new(fragment.session_id):
            read.append((fragment.session_id, read_text(decrypt(payload, KEY)).text))
    complete = {message_id for message_id in sent if {f for f in frames if f" {message_id} " in f} <= set(arrived)}
    assert sorted(read) == sorted((message_id, sent[message_id]) for message_id in complete)
