"""Whatever a backend answers is an answer that a call can be routed by, or complaints that people can read; in linear time.

Answers as developers write them, edited by lines, words and characters, and with members replaced, doubled and taken out; prompts and SSML.
"""

import json
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import RemoteProtocolError, SinchphoneError
from sinchphone.gateway.call_facts import CallerName, Dialled, Source
from sinchphone.gateway.options import GatewayOptions, SipSettings, TrunkOptions
from sinchphone.gateway.routing.routing import Dialling, Refuse, Routes, incoming_event, raises_ace
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.protocol.callbacks.ssml import read_ssml
from sinchphone.protocol.callbacks.svaml import Event, PlayFiles, Say, SetCookie, Svaml, SvamlError, cookie_bytes
from sinchphone.protocol.callbacks.svaml_fields import MAX_COMPLAINTS
from sinchphone.protocol.callbacks.svaml_prompts import read_prompts
from sinchphone.protocol.callbacks.svaml_reading import parse_svaml
from sinchphone.signaling.dialect import Domain
from tests.fuzz.edits import edited, edits, growth

HEADERS: Final = [{"key": "X-Order", "value": "42"}, {"key": "x-b", "value": ""}]
SIP: Final = {"type": "sip", "endpoint": "46708000000@sip.example.com"}
INSTRUCTIONS: Final[list[dict[str, Any]]] = [
    {"name": "answer"},
    {"name": "say", "text": "Hello", "locale": "en-GB"},
    {"name": "playFiles", "ids": ["#tts[One];https://example.org/two.wav", "#ssml[<speak>x</speak>]"], "locale": "en-US/male"},
    {"name": "sendDtmf", "value": "1w#"},
    {"name": "setCookie", "key": "a", "value": "b"},
    {"name": "startRecording", "options": {"destinationUrl": "s3://b/f", "credentials": "a:b:c"}},
]
ACTIONS: Final[list[dict[str, Any]]] = [
    {"name": "hangup"},
    {"name": "continue"},
    {
        "name": "connectPstn",
        "number": "+46700000000",
        "cli": "private",
        "maxDuration": 14400,
        "dialTimeout": 30,
        "dtmf": "12w#",
        "amd": {"enabled": False},
    },
    {"name": "connectPstn", "suppressCallbacks": True, "indications": "se", "locale": "en-US"},
    {"name": "connectMxp", "destination": {"type": "username", "endpoint": "ada"}, "callHeaders": HEADERS},
    {"name": "connectConf", "conferenceId": "standup", "moh": "music2", "conferenceDtmfOptions": {"mode": "ignore", "maxDigits": 1}},
    {"name": "connectSip", "destination": SIP, "transport": "TLS", "cli": "46700000000", "callHeaders": HEADERS, "maxDuration": 60},
    {"name": "connectStream", "destination": {"type": "websocket", "endpoint": "wss://example.org"}, "streamingOptions": {"version": 1}},
    {"name": "runMenu", "menus": [{"id": "main", "mainPrompt": "#tts[Hi]", "options": [{"dtmf": "1", "action": "return(a)"}]}]},
    {"name": "park", "holdPrompt": "https://example.org/hold.wav"},
]
ANSWERS: Final = [{"instructions": INSTRUCTIONS[number % 4 :], "action": action} for number, action in enumerate(ACTIONS)]
SEEDS: Final = [json.dumps(answer, indent=1).replace("\n", "\r\n") for answer in ANSWERS]
WORDS: Final = (
    *("hangup", "continue", "connectPstn", "connectMxp", "connectConf", "connectSip", "ConnectPSTN", "username", "sip", "number", "null"),
    *("true", "false", "[]", "{}", '""', "1e400", "-0", '"action": {', "NaN", "Infinity", '"\\ud800"', '"\\u0000"', '"\\u202e"', "+46 70"),
    *('"name": "say",', "#tts[", "#ssml[", "#href[", "]", ";", "http://", "sip:a@b", "a@[::1]", "a@b;transport=tcp?x=y", "private", "+1"),
)
PROMPTS: Final = "#tts[One, two];https://example.org/two.wav;#ssml[<speak>x</speak>];#href[http://a/b]"
SSML: Final = '<speak xml:lang="en-GB">one<break time="3s"/>\r\n<prosody rate="slow">two</prosody> &lt;&amp;</speak>'
changes = edits(WORDS)
ODD: Final[list[object]] = ["+46700000000", "x" * 5000, 10**400, [], {}, [[]]]
VALUES: Final = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.sampled_from(ODD))
TRUNK: Final = TrunkOptions(host="carrier.example", allow=("+46",), numbers={"+46101234567": "room:standup"})
OPTIONS: Final = GatewayOptions(sip=SipSettings(realm="phones.example", public_address="203.0.113.7"))
ROUTES: Final = (Routes(OPTIONS, None), Routes(OPTIONS, Trunk(TRUNK)))
CALLS: Final = [
    Dialling(source=source, caller=CallerName(Domain.MXP, "ada", caller_id), dialled=Dialled(domain, identity))
    for source, caller_id in ((Source.USER, None), (Source.USER, "+14155550100"), (Source.PHONE, None), (Source.PEER, None))
    for domain, identity in ((Domain.MXP, "bob"), (Domain.PSTN, "+46700000000"), (Domain.SIP, "bob@example.com"))
]


def replaced(value: Any, path: list[int], new: object, *, drop: bool) -> Any:
    """The JSON value with another member at a place deep inside."""
    if not path or not isinstance(value, list | dict) or not value:
        return new
    number, *rest = path
    if isinstance(value, list):
        at = number % len(value)
        return value[:at] + ([] if drop and not rest else [replaced(value[at], rest, new, drop=drop)]) + value[at + 1 :]
    name = sorted(value)[number % len(value)]
    kept = {key: one for key, one in value.items() if key != name}
    return kept if drop and not rest else kept | {name: replaced(value[name], rest, new, drop=drop)}


mutated = st.builds(replaced, st.sampled_from(ANSWERS), st.lists(st.integers(0, 9), min_size=1, max_size=4), VALUES, drop=st.booleans())
bodies = st.one_of(
    st.builds(edited, st.sampled_from(SEEDS), changes).map(lambda text: text.encode("utf-8", "surrogatepass")),
    mutated.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
)


def read(body: bytes, event: Event) -> Svaml | None:
    try:
        return parse_svaml(body, event)
    except SvamlError as error:
        assert 0 < len(error.complaints) <= MAX_COMPLAINTS
        for one in error.complaints:
            assert str(one).isprintable()
            assert len(str(one)) < 1000
            str(one).encode()
        return None


@given(bodies, st.sampled_from(Event), st.sampled_from(ROUTES), st.sampled_from(CALLS))
def test_any_answer_routes_a_call_or_is_complained_about(body: bytes, event: Event, routes: Routes, call: Dialling) -> None:
    answer = read(body, event)
    if answer is None:
        return
    assert all(str(one).isprintable() for one in answer.remarks)
    assert len(answer.remarks) <= MAX_COMPLAINTS
    for instruction in answer.instructions:
        if isinstance(instruction, SetCookie):
            assert cookie_bytes({instruction.key: instruction.value}) <= 2048
        if isinstance(instruction, Say | PlayFiles):
            assert instruction.locale is None or instruction.locale.isascii()
    try:
        route = routes.by_action(answer.action, call)
    except SinchphoneError:  # a refusal of the plan's
        return
    assert isinstance(route, Refuse) or raises_ace(route) in (True, False)
    if isinstance(route, Refuse):
        assert 400 <= route.failure.status < 700
    incoming_event(call)


@given(st.one_of(st.builds(edited, st.just(PROMPTS), changes), st.text(max_size=60)))
def test_any_text_is_prompts_or_none(text: str) -> None:
    prompts = read_prompts(text)
    assert prompts is None or len(prompts) <= len(text) + 1


@given(st.one_of(st.builds(edited, st.just(SSML), changes), st.text(max_size=60)))
def test_any_ssml_is_read_to_what_is_read_again_or_refused(text: str) -> None:
    try:
        said = read_ssml(text)
    except RemoteProtocolError:
        return
    said.encode()
    assert read_ssml(said) == said


LONG: Final = ('{"name": "say", "text": "x"},', '{"name": "x"},', '"#tts[a];"', "[", '{"a":', '"a": 1, ', "9", "#ssml[")


@given(st.sampled_from(LONG), st.sampled_from(Event))
def test_the_time_to_read_grows_with_the_length(piece: str, event: Event) -> None:
    def work(size: int) -> None:
        inside = piece * (size // len(piece))
        whole = f'{{"instructions": [{inside.rstrip(",")}], "action": {{"name": "hangup"}}}}'
        for text in (whole, inside, json.dumps({"action": {inside: inside}})):
            read(text.encode(), event)

    assert growth(work, 10_000) < 12
