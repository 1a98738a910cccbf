"""Whatever a peer publishes is a message or a RemoteProtocolError, costs bounded memory, and ends a call at most once.

Frames, ciphertext, JSON, bodies and conversations: from any text, and from real ones with bits flipped, pieces lost, doubled and swapped.
"""

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.exchange.calls.watch import CallEnds
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.vocabulary import Phase
from sinchphone.protocol.mxp.fragments import MAX_PAYLOAD_BYTES, Fragment, Reassembler, parse_fragment, split
from sinchphone.protocol.mxp.instant import is_text, read_text
from sinchphone.protocol.mxp.message import (
    BodyType,
    Client,
    Message,
    Method,
    decode_client,
    decode_failure,
    decrypt,
    encode_failure,
    encrypt,
    from_json,
    to_json,
)
from sinchphone.protocol.sdp.jsep import Description, decode_sdp_body, encode_description
from sinchphone.signaling.channel import MxpChannel

KEY = b"k" * 32
ADA, BOB = Client("ada", "ada-1", "sig-ada"), Client("bob", "bob-1", "sig-bob")
OFFER, ANSWER = Description("offer", "v=0 offer"), Description("answer", "v=0 answer")
INVITE = Message(Method.INVITE, BOB, BodyType.MEDIA, "", {"sdp": encode_description(OFFER)})

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
members = ["md", "bt", "bd", "bv", "fu", "fi", "fsi", "fs", "fd", "fc", "nvps"]
bodies = st.one_of(
    st.text(max_size=60),
    json_values.map(json.dumps),
    st.sampled_from([encode_description(OFFER), encode_description(ANSWER), '{"fi":"ada-1"}', '{"code":1,"reason":"x"}']),
)
names = ["to", "deny", "denyall", "earlymedia", "iceFailed", "failureterm", "cev", "error_json", "sdp", "ph"]
headers = st.dictionaries(
    st.sampled_from(names) | st.text(max_size=6), st.sampled_from(["yes", "no", "ada-1", "bob-1:7"]) | bodies, max_size=4
)
body_types = st.sampled_from(list(BodyType)) | st.text(min_size=1, max_size=6)
clients = st.sampled_from([ADA, BOB, Client("bob", "bob-2", "sig-bob-2"), Client("", "", ""), Client("eve", "bob-1", "a,b")])
messages = st.builds(Message, st.sampled_from(list(Method)), clients, body_types, bodies, headers)
frames = st.one_of(
    st.text(max_size=80),
    st.builds(
        "{} {} {} {} {} {}".format,
        st.sampled_from(["10", "9", "", "010"]),
        st.sampled_from(["call", "c" * 130, "a b", "é"]),
        st.sampled_from(["-", "7", "t" * 33]),
        st.integers(-2, 600) | st.just(10**7),
        st.integers(-2, 600) | st.just(10**7),
        st.sampled_from(["AAAA", "A" * 4000, "?", "", "AAAA transport"]),
    ),
)


@given(frames | json_values)
def test_any_published_value_is_a_fragment_or_the_peers_fault(published: Any) -> None:
    try:
        fragment = parse_fragment(published)
    except RemoteProtocolError:
        return
    assert isinstance(fragment, Fragment)
    assert isinstance(fragment.is_too_long, bool)


@given(st.lists(frames, max_size=60))
def test_fragments_of_any_kind_take_bounded_memory(published: list[str]) -> None:
    reassembler = Reassembler()
    for text in published:
        try:
            reassembler.push(parse_fragment(text), 0.0)
        except RemoteProtocolError:
            continue
    assert reassembler.pending_bytes <= 8 * MAX_PAYLOAD_BYTES


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")), st.sampled_from([KEY, KEY[:16]]))
def test_any_payload_is_a_message_or_the_peers_fault(payload: str, key: bytes) -> None:
    try:
        assert isinstance(decrypt(payload, key), Message)
    except RemoteProtocolError:
        return


@given(messages, st.binary(min_size=16, max_size=16), st.data())
def test_a_message_with_flipped_characters_is_a_message_or_the_peers_fault(message: Message, iv: bytes, data: st.DataObject) -> None:
    try:
        payload = encrypt(message, KEY, iv)
    except LocalProtocolError:
        return  # what we wouldn't read we don't send
    assert decrypt(payload, KEY) == message
    at = data.draw(st.integers(0, len(payload) - 1))
    flipped = payload[:at] + data.draw(st.sampled_from("AZaz09+/=? ")) + payload[at + 1 :]
    try:
        assert isinstance(decrypt(flipped, KEY), Message)
    except RemoteProtocolError:
        return


@given(st.dictionaries(st.sampled_from(members) | st.text(max_size=4), json_values, max_size=11) | json_values)
def test_any_json_is_a_message_that_can_be_written_again_or_the_peers_fault(value: Any) -> None:
    try:
        message = from_json(json.dumps(value))
    except RemoteProtocolError:
        return
    assert from_json(to_json(message)) == message


@given(bodies | st.text() | st.just("[" * 5000))
def test_any_body_is_read_or_the_peers_fault(text: str) -> None:
    for read in (decode_client, decode_sdp_body, lambda body: read_text(Message(Method.INVITE, ADA, BodyType.TEXT, body))):
        try:
            read(text)
        except RemoteProtocolError:
            continue
    assert len(encode_failure(decode_failure(text))) <= 256


@given(st.lists(messages, max_size=4), st.randoms(use_true_random=False))
def test_frames_lost_doubled_and_swapped_give_each_message_once_or_not_at_all(sent: list[Message], shuffle: Any) -> None:
    published: list[str] = []
    for number, message in enumerate(sent):
        try:
            published += split(encrypt(message, KEY, bytes([number]) * 16), "call", str(number), frame_characters=200)
        except LocalProtocolError:
            continue
    published += published[: len(published) // 3]
    shuffle.shuffle(published)
    del published[: len(published) // 5]
    channel = MxpChannel("call", _publish, now=lambda: 0.0, randbytes=bytes)
    channel.configure(KEY)
    for frame in published:
        channel.feed(parse_fragment(frame))
    came = [channel._inbox.get_nowait() for _ in range(channel._inbox.qsize())]
    assert all(message in sent for message in came)
    assert all(came.count(message) <= sent.count(message) for message in came)


async def _publish(channel: str, frame: str) -> None:
    await asyncio.sleep(0)


@given(st.booleans(), st.lists(messages, max_size=30), st.lists(st.floats(0, 30), min_size=30, max_size=30))
def test_any_conversation_ends_a_call_once_at_most(outbound: bool, said: list[Message], pauses: list[float]) -> None:
    machine, now = CallMachine(ADA, invite=None if outbound else INVITE), 0.0
    effects: list[v.Effect] = []
    starts: tuple[v.Input, ...] = (
        (v.Dial(), v.OfferReady(OFFER), v.Placed("sig-call", 2)) if outbound else (v.Greet(), v.AnswerReady(ANSWER))
    )
    for event in starts:
        effects += machine.handle(event, now)
    for message, pause in zip(said, pauses, strict=False):
        now += pause
        effects += machine.handle(v.Elapsed(), now)
        effects += machine.handle(v.Received(message), now)
    ends = sum(isinstance(effect, v.Ended) for effect in effects)
    assert ends == (1 if machine.phase is Phase.OVER else 0)
    for effect in effects:
        if isinstance(effect, v.Send):  # whatever was said to us, what we say can be sent
            decrypt(encrypt(effect.message, KEY, bytes(16)), KEY)


@given(st.lists(messages, max_size=30))
def test_any_conversation_leaves_the_exchange_with_a_call_that_is_open_or_over(said: list[Message]) -> None:
    ends = CallEnds("ada-1", ["bob-1", "bob-2"])
    over = False
    for message in said:
        ends.take(message)
        assert ends.is_over or not over, "a call that is over stays so"
        over = ends.is_over


@given(messages)
def test_a_text_is_told_from_a_call(message: Message) -> None:
    if is_text(message):
        assert (message.method, message.body_type) == (Method.INVITE, BodyType.TEXT)
