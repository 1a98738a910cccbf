import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.callbacks.svaml import (
    Amd,
    AnswerCall,
    ConferenceDtmf,
    ConnectConf,
    ConnectMxp,
    ConnectPstn,
    ConnectSip,
    ConnectStream,
    Continue,
    DtmfMode,
    Event,
    Fetched,
    GoTo,
    Hangup,
    Menu,
    MenuOption,
    Park,
    PlayFiles,
    ReportCallStatus,
    Return,
    RunMenu,
    Say,
    SendDtmf,
    SetCookie,
    Spoken,
    Ssml,
    StartRecording,
    StopRecording,
    Svaml,
    SvamlError,
)
from sinchphone.protocol.callbacks.svaml_fields import Complaint
from sinchphone.protocol.callbacks.svaml_prompts import read_prompts
from sinchphone.protocol.callbacks.svaml_reading import parse_svaml, read_svaml

STREAM = {"name": "connectStream", "destination": {"type": "Websocket", "endpoint": "wss://example.org/sound"}}
SIP = {"type": "sip", "endpoint": "46708000000@sip.example.com"}


def read(action: object, *instructions: object, event: Event = Event.ICE) -> Svaml:
    return parse_svaml(json.dumps({"instructions": list(instructions), "action": action}).encode(), event)


def complaints(action: object, *instructions: object, event: Event = Event.ICE) -> dict[str, str]:
    """What is wrong, by path: what it is, and what it should be."""
    with pytest.raises(SvamlError) as refused:
        read(action, *instructions, event=event)
    return {one.path: f"{one.found} | {one.expected}" for one in refused.value.complaints}


def test_every_action_is_read_with_all_its_fields() -> None:
    number = {"name": "connectPstn", "number": "+46700000000", "cli": "+46711111111", "maxDuration": 14400, "dialTimeout": 30}
    assert read(
        {**number, "dtmf": "12w#", "suppressCallbacks": True, "locale": "en-US", "indications": "se", "amd": {"enabled": False}}
    ) == Svaml(
        ConnectPstn("+46700000000", "+46711111111", 14400, 30, "12w#", True, "en-US"),
        remarks=(Complaint("action.indications", '"se"', "absent: callers hear this exchange's own ringing tone"),),
    )
    assert read({"name": "hangup"}) == Svaml(Hangup())
    assert read({"name": "continue"}, event=Event.ACE) == Svaml(Continue())
    headers = [{"key": "X-A", "value": "1"}, {"key": "x-b", "value": ""}]
    user = {"name": "connectMxp", "destination": {"type": "username", "endpoint": "ada"}, "callHeaders": headers}
    assert read(user).action == ConnectMxp("ada", {"X-A": "1", "x-b": ""})
    assert read({"name": "connectMxp"}).action == ConnectMxp(None)
    room = {"name": "connectConf", "conferenceId": "standup", "moh": "music2", "conferenceDtmfOptions": {"mode": "ignore", "maxDigits": 1}}
    assert read(room).action == ConnectConf("standup", "music2")
    sip = {"name": "connectSip", "destination": SIP, "transport": "TLS"}
    assert read({**sip, "cli": "46700000000", "maxDuration": 60, "suppressCallbacks": False, "callHeaders": headers}).action == ConnectSip(
        "46708000000@sip.example.com", "46700000000", "tls", 60, False, {"X-A": "1", "x-b": ""}
    )


def test_every_instruction_is_read_in_order() -> None:
    answer = read(
        {"name": "connectPstn"},
        {"name": "answer"},
        {"name": "say", "text": "Hello", "locale": "en-GB"},
        {"name": "playFiles", "ids": ["#tts[One];https://example.org/two.wav", "#href[http://example.org/3.mp3]"], "locale": "en-US"},
        {"name": "sendDtmf", "value": "1w#"},
        {"name": "setCookie", "key": "a", "value": ""},
    )
    assert answer.instructions == (
        AnswerCall(),
        Say("Hello", "en-GB"),
        PlayFiles((Spoken("One"), Fetched("https://example.org/two.wav"), Fetched("http://example.org/3.mp3")), "en-US"),
        SendDtmf("1w#"),
        SetCookie("a", ""),
    )


@pytest.mark.parametrize("name", ["connectPstn", "ConnectPstn", "connectPSTN", "CONNECTPSTN"])
def test_names_are_read_without_regard_to_case(name: str) -> None:
    assert read({"name": name}, {"name": "Say", "text": "x"}).action == ConnectPstn()


def test_members_may_be_capitalised_as_the_first_sdks_wrote_them() -> None:
    body = {"Instructions": [{"Name": "Say", "Text": "Hello"}], "Action": {"Name": "ConnectPstn", "Number": "+46700000000"}}
    assert read_svaml(body, Event.ICE) == Svaml(ConnectPstn("+46700000000"), (Say("Hello"),))


def test_absent_and_null_members_are_the_same() -> None:
    assert read_svaml({"instructions": None, "action": {"name": "connectPstn", "number": None, "cli": None}}, Event.ICE) == Svaml(
        ConnectPstn()
    )


def test_all_that_is_wrong_is_said_at_once_field_by_field() -> None:
    found = complaints(
        {"name": "connectPstn", "number": "0700000000", "maxDuration": 14401, "dtmf": "12a", "cli": "anna", "suppressCallbacks": "yes"},
        {"name": "say", "text": "x" * 601},
        {"name": "jump"},
        "answer",
    )
    assert found == {
        "action.number": '"07…" | a phone number such as +46700000000',
        "action.maxDuration": "14401 | a whole number from 1 to 14400",
        "action.dtmf": '"12a" | digits: 0-9, # and w',
        "action.cli": '"anna" | a phone number such as +46700000000, or private',
        "action.suppressCallbacks": '"yes" | true or false',
        "instructions[0].text": "a text of 601 characters | a text of 1 to 600 characters",
        "instructions[1].name": '"jump" | answer, say, playFiles, sendDtmf, setCookie, startRecording or stopRecording',
        "instructions[2]": '"answer" | an object',
    }


def test_a_complaint_is_a_sentence() -> None:
    with pytest.raises(SvamlError) as refused:
        read({"name": "connectConf", "conferenceId": "x" * 65})
    assert str(refused.value) == f'action.conferenceId is "{"x" * 40}…", but should be a room\'s name of 1 to 64 characters'


@pytest.mark.parametrize("body", [b"", b"  ", b"<html>", b"[]", b"null", b"\xff", b"1" * 10_000, b"[" * 100_000])
def test_what_is_no_object_is_no_answer(body: bytes) -> None:
    with pytest.raises(SvamlError) as refused:
        parse_svaml(body, Event.ICE)
    assert refused.value.complaints[0].path == "the body"


def test_an_answer_without_an_action_names_those_that_can_be() -> None:
    with pytest.raises(SvamlError) as refused:
        read_svaml({"instructions": []}, Event.ACE)
    assert refused.value.complaints == (Complaint("action", "absent", "an object whose name is hangup, continue, connectConf or runMenu"),)


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (Event.ICE, {"hangup", "connectPstn", "connectMxp", "connectConf", "connectSip", "connectStream", "runMenu", "park"}),
        (Event.ACE, {"hangup", "continue", "connectConf", "runMenu"}),
        (Event.PIE, {"hangup", "continue", "connectPstn", "connectConf", "connectSip", "runMenu"}),
        (Event.DICE, {"hangup"}),
        (
            Event.UPDATE,
            {"hangup", "continue", "connectPstn", "connectMxp", "connectConf", "connectSip", "connectStream", "runMenu", "park"},
        ),
    ],
)
def test_each_event_takes_its_own_actions(event: Event, names: set[str]) -> None:
    whole: dict[str, dict[str, object]] = {
        "hangup": {},
        "continue": {},
        "connectPstn": {},
        "connectMxp": {},
        "connectConf": {"conferenceId": "r"},
        "connectSip": {"destination": {"type": "sip", "endpoint": "a@example.com"}},
        "connectStream": {"destination": {"endpoint": "wss://example.org/sound"}},
        "runMenu": {"menus": [{"id": "main"}]},
        "park": {},
    }
    for name, fields in whole.items():
        if name in names:
            read({"name": name, **fields}, event=event)
        else:
            assert f"which is not an answer to {event.shown()}" in complaints({"name": name, **fields}, event=event)["action.name"]


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (Event.ICE, {"answer", "say", "playFiles", "sendDtmf", "setCookie", "startRecording", "stopRecording"}),
        (Event.ACE, {"say", "playFiles", "setCookie", "startRecording", "stopRecording"}),
        (Event.PIE, {"say", "playFiles", "sendDtmf", "setCookie", "startRecording", "stopRecording"}),
        (Event.DICE, {"reportCallStatus"}),
        (Event.UPDATE, {"answer", "say", "playFiles", "sendDtmf", "setCookie", "startRecording", "stopRecording"}),
    ],
)
def test_each_event_takes_its_own_instructions(event: Event, names: set[str]) -> None:
    whole: dict[str, dict[str, object]] = {
        "answer": {},
        "say": {"text": "x"},
        "playFiles": {"ids": ["http://example.org/x"]},
        "sendDtmf": {"value": "1"},
        "setCookie": {"key": "a", "value": "b"},
        "startRecording": {},
        "stopRecording": {},
        "reportCallStatus": {"value": "success"},
    }
    for name, fields in whole.items():
        if name in names:
            read({"name": "hangup"}, {"name": name, **fields}, event=event)
        else:
            assert "instructions[0].name" in complaints({"name": "hangup"}, {"name": name, **fields}, event=event)


def test_an_action_that_this_exchange_does_not_have_is_said_to_be_not_here() -> None:
    found = complaints({"name": "connectAgent"})["action.name"]
    assert found.startswith('"connectAgent", which is not on this exchange | hangup, connectPstn')


@pytest.mark.parametrize(
    ("amd", "read_as"),
    [({"enabled": False}, Amd.OFF), ({"enabled": True}, Amd.SYNC), ({"enabled": True, "async": True}, Amd.ASYNC), ({}, Amd.SYNC)],
)
def test_who_answers_may_be_found_out_before_or_meanwhile(amd: dict[str, bool], read_as: Amd) -> None:
    assert read({"name": "connectPstn", "amd": amd}).action == ConnectPstn(amd=read_as)


def test_digits_in_a_room_are_ignored_forwarded_or_detected() -> None:
    options = {"mode": "Detect", "maxDigits": 4, "timeoutMills": 500}
    action = read({"name": "connectConf", "conferenceId": "r", "conferenceDtmfOptions": options}).action
    assert action == ConnectConf("r", dtmf=ConferenceDtmf(DtmfMode.DETECT, 4, 500))
    assert read({"name": "connectConf", "conferenceId": "r", "conferenceDtmfOptions": {}}).action == ConnectConf("r")


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ({"name": "connectSip"}, "action.destination"),
        ({"name": "connectSip", "destination": "a@example.com"}, "action.destination"),
        ({"name": "connectSip", "destination": {"type": "username", "endpoint": "a@example.com"}}, "action.destination.type"),
        ({"name": "connectSip", "destination": {"type": "sip", "endpoint": "a"}}, "action.destination.endpoint"),
        ({"name": "connectSip", "destination": {"type": "sip", "endpoint": "a@b\r\nX: y"}}, "action.destination.endpoint"),
        ({"name": "connectMxp", "destination": {"type": "username"}}, "action.destination.endpoint"),
        ({"name": "connectStream"}, "action.destination"),
        ({"name": "connectStream", "destination": {"endpoint": "https://example.org"}}, "action.destination.endpoint"),
        ({"name": "connectStream", "destination": {"endpoint": "wss://ada:secret@example.org"}}, "action.destination.endpoint"),
        ({**STREAM, "streamingOptions": {"version": 2}}, "action.streamingOptions.version"),
        ({**STREAM, "streamingOptions": {"sampleRate": 11025}}, "action.streamingOptions.sampleRate"),
        ({"name": "park", "holdPrompt": "music"}, "action.holdPrompt"),
        ({"name": "park", "maxDuration": 601}, "action.maxDuration"),
        ({"name": "runMenu"}, "action.menus"),
        ({"name": "runMenu", "menus": [{"id": "main"}], "mainMenu": "other"}, "action.mainMenu"),
        ({"name": "runMenu", "menus": [{"id": "first"}], "mainMenu": "first"}, "action.menus"),
        ({"name": "runMenu", "menus": [{"id": "main"}], "enableVoice": True}, "action.enableVoice"),
        ({"name": "runMenu", "menus": [{"id": "main"}, {"id": "main"}]}, "action.menus[1].id"),
        ({"name": "runMenu", "menus": [{"id": "main", "maxDigits": 0}]}, "action.menus[0].maxDigits"),
        ({"name": "runMenu", "menus": [{"id": "main", "mainPrompt": "hello"}]}, "action.menus[0].mainPrompt"),
        ({"name": "runMenu", "menus": [{"id": "main", "options": [{"dtmf": "1"}]}]}, "action.menus[0].options[0].action"),
        (
            {"name": "runMenu", "menus": [{"id": "main", "options": [{"dtmf": "x", "action": "return(a)"}]}]},
            "action.menus[0].options[0].dtmf",
        ),
        ({"name": "connectMxp", "callHeaders": {"a": "b"}}, "action.callHeaders"),
        ({"name": "connectMxp", "callHeaders": [{"key": "a"}]}, "action.callHeaders[0].value"),
        ({"name": "connectMxp", "callHeaders": [{"key": "a", "value": "b" * 1024}]}, "action.callHeaders"),
        ({"name": "connectConf"}, "action.conferenceId"),
        ({"name": "connectConf", "conferenceId": "a b"}, "action.conferenceId"),
        ({"name": "connectConf", "conferenceId": "r", "moh": "jazz"}, "action.moh"),
        ({"name": "connectPstn", "maxDuration": 1.5}, "action.maxDuration"),
        ({"name": "connectPstn", "maxDuration": True}, "action.maxDuration"),
        ({"name": "connectPstn", "maxDuration": 10**5000}, "action.maxDuration"),
        ({"name": "connectPstn", "indications": "xx"}, "action.indications"),
        ({"name": 7}, "action.name"),
        ({}, "action.name"),
        ("hangup", "action"),
    ],
)
def test_each_field_has_its_limits(action: object, path: str) -> None:
    with pytest.raises(SvamlError) as refused:
        read_svaml({"action": action}, Event.ICE)
    assert [one.path for one in refused.value.complaints] == [path]


def test_a_destination_says_enough_without_its_type() -> None:
    assert read({"name": "connectMxp", "destination": {"endpoint": "ada"}}).action == ConnectMxp("ada")
    assert read({"name": "connectSip", "destination": {"endpoint": "a@example.com"}}).action == ConnectSip("a@example.com")


def test_menus_are_read_with_all_their_fields() -> None:
    menu = {
        "id": "main",
        "mainPrompt": "#tts[Hello];https://example.org/a.wav",
        "repeatPrompt": "#tts[Again]",
        "repeats": 2,
        "maxDigits": 4,
        "timeoutMills": 1500,
        "maxTimeoutMills": 9000,
        "options": [{"dtmf": "1", "action": "menu(sub)"}, {"dtmf": 2, "action": " Return( sales ) "}],
    }
    whole = {"name": "runMenu", "barge": False, "locale": "en-US", "mainMenu": "sub", "enableVoice": False, "menus": [menu, {"id": "sub"}]}
    main = Menu(
        "main",
        (Spoken("Hello"), Fetched("https://example.org/a.wav")),
        (Spoken("Again"),),
        2,
        4,
        1500,
        (MenuOption("1", GoTo("sub")), MenuOption("2", Return("sales"))),
    )
    assert read(whole) == Svaml(RunMenu({"main": main, "sub": Menu("sub")}, "sub", False, "en-US"))


def test_a_menu_that_leads_nowhere_is_named_with_those_that_there_are() -> None:
    menus = [{"id": "main", "options": [{"dtmf": "1", "action": "menu(nowhere)"}]}]
    assert complaints({"name": "runMenu", "menus": menus}) == {
        "action.menus[0].options[0].action": '"menu(nowhere)" | menu(…) with the id of one of the menus "main", or return(…)'
    }


def test_a_stream_is_read_with_its_rate_and_headers() -> None:
    headers = [{"key": "foo", "value": "bar"}]
    whole = {**STREAM, "streamingOptions": {"version": 1, "sampleRate": 16000}, "maxDuration": 60, "callHeaders": headers}
    assert read(whole).action == ConnectStream("wss://example.org/sound", 16000, 60, {"foo": "bar"})
    assert read(STREAM).action == ConnectStream("wss://example.org/sound", 44100)


def test_a_park_is_read_with_its_prompts() -> None:
    park = {"name": "park", "introPrompt": "#tts[Wait]", "holdPrompt": "https://example.org/m.wav", "maxDuration": 60, "locale": "en-US"}
    assert read(park).action == Park((Spoken("Wait"),), (Fetched("https://example.org/m.wav"),), 60, "en-US")


def test_recordings_stay_here_and_the_keys_to_elsewhere_are_repeated_nowhere() -> None:
    options = {
        "destinationUrl": "s3://bucket/folder",
        "credentials": "AKIA:very-secret:eu",
        "format": "WAV",
        "notificationEvents": False,
        "transcriptionOptions": {"enabled": True, "locale": "en-US"},
    }
    answer = read({"name": "hangup"}, {"name": "startRecording", "options": options}, {"name": "stopRecording"})
    assert answer.instructions == (StartRecording("wav", False), StopRecording())
    assert {remark.path.rpartition(".")[2] for remark in answer.remarks} == {"destinationUrl", "credentials", "enabled"}
    assert not any(word in str(answer) for word in ("AKIA", "secret", "bucket"))
    assert read({"name": "hangup"}, {"name": "startRecording"}).instructions == (StartRecording("mp3", True),)


@pytest.mark.parametrize("name", ["connectPstn", "connectSip", "connectConf"])
def test_an_action_may_ask_for_a_recording_itself(name: str) -> None:
    whole = {"name": name, "conferenceId": "r", "destination": {"endpoint": "a@example.com"}, "record": True}
    action = read({**whole, "recordingOptions": {"format": "ogg"}}).action
    assert isinstance(action, ConnectPstn | ConnectSip | ConnectConf)
    assert action.recording == StartRecording("ogg")


def test_calls_to_users_are_not_recorded_which_is_remarked_on() -> None:
    assert [remark.path for remark in read({"name": "connectMxp", "record": True}).remarks] == ["action.record"]


def test_the_status_of_a_call_that_is_over_is_reported() -> None:
    status = {"name": "reportCallStatus", "value": "Failure", "details": "no stock"}
    assert read({"name": "hangup"}, status, event=Event.DICE).instructions == (ReportCallStatus(False, "no stock"),)
    found = complaints({"name": "hangup"}, {"name": "reportCallStatus", "value": "maybe", "details": "x" * 65}, event=Event.DICE)
    assert set(found) == {"instructions[0].value", "instructions[0].details"}


@pytest.mark.parametrize("key", ["From", "Via", "X-A: b\r\nVia", "X-", "X-A B"])
def test_attack_a_backend_can_not_write_other_sip_headers_than_private_ones(key: str) -> None:
    destination = {"type": "sip", "endpoint": "a@example.com"}
    assert "action.callHeaders[0].key" in complaints(
        {"name": "connectSip", "destination": destination, "callHeaders": [{"key": key, "value": "v"}]}
    )


def test_attack_a_private_sip_header_can_not_begin_another_line() -> None:
    destination = {"type": "sip", "endpoint": "a@example.com"}
    headers = [{"key": "X-A", "value": "b\r\nVia: c"}]
    assert "action.callHeaders[0].value" in complaints({"name": "connectSip", "destination": destination, "callHeaders": headers})


def test_cookies_are_limited_together() -> None:
    cookies = [{"name": "setCookie", "key": f"k{number}", "value": "v" * 500} for number in range(3)]
    assert "cookies of 1506 bytes" in complaints({"name": "hangup"}, *cookies)["instructions"]
    assert len(read({"name": "hangup"}, *cookies[:2]).instructions) == 2


def test_a_member_that_means_nothing_is_remarked_on_and_not_refused() -> None:
    answer = read({"name": "connectPstn", "nubmer": "+46700000000"})
    assert [one.path for one in answer.remarks] == ["action"]
    assert '"nubmer"' in answer.remarks[0].found


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("#tts[Hello; you]", (Spoken("Hello; you"),)),
        ("#TTS[a] ; #ssml[<speak>[b]</speak>]", (Spoken("a"), Ssml("<speak>[b]</speak>"))),
        (
            "https://example.org/a.wav;http://example.org/b.wav;",
            (Fetched("https://example.org/a.wav"), Fetched("http://example.org/b.wav")),
        ),
        ("#href[https://example.org/a.wav];#tts[c]", (Fetched("https://example.org/a.wav"), Spoken("c"))),
        ("", None),
        (";", None),
        ("welcome", None),
        ("#tts[]", None),
        ("#tts[a", None),
        ("#tts[a]b", None),
        ("#href[ftp://example.org/a]", None),
        ("file:///etc/passwd", None),
        ("https://ada:secret@example.org/a", None),
        ("http://[", None),
    ],
)
def test_prompts_are_texts_to_speak_and_files_to_fetch(text: str, prompts: Any) -> None:
    assert read_prompts(text) == prompts


def test_a_text_that_is_spoken_needs_a_locale() -> None:
    assert complaints({"name": "hangup"}, {"name": "playFiles", "ids": ["#tts[a]"]}) == {
        "instructions[0].locale": "absent | a locale such as en-US, since a text is spoken"
    }
    assert complaints({"name": "hangup"}, {"name": "playFiles", "ids": []}) == {"instructions[0].ids": "a list of 0 | a list of prompts"}
    assert "instructions[0].ids[1]" in complaints({"name": "hangup"}, {"name": "playFiles", "ids": ["http://example.org/a", 7]})


def test_attack_prompts_are_counted_one_by_one_however_they_are_written() -> None:
    spoken = {"name": "playFiles", "locale": "en-US"}
    assert len(read({"name": "hangup"}, {**spoken, "ids": ["#tts[a];" * 16] * 2}).instructions[0].prompts) == 32  # type: ignore[union-attr]
    for ids in (["#tts[a];" * 33], ["#tts[a];" * 500] * 16, ["#tts[a]"] * 31 + ["#tts[a];#tts[b]"]):
        assert "at most 32" in complaints({"name": "hangup"}, {**spoken, "ids": ids})["instructions[0].ids"]


@pytest.mark.parametrize("locale", ["en" + "-US" * 11, "en" + "-US" * 8000, "en-" + "x" * 30, "en/" + "a" * 33, "a" * 33])
def test_attack_a_locale_is_no_longer_than_locales_and_voices_are(locale: str) -> None:
    assert "instructions[0].locale" in complaints({"name": "hangup"}, {"name": "say", "text": "Hello", "locale": locale})


def test_events_are_written_as_sinchs_documents_write_them() -> None:
    assert [event.shown() for event in (Event.ICE, Event.ACE, Event.PIE, Event.DICE)] == ["ICE", "ACE", "PIE", "DiCE"]


def test_an_empty_answer_to_dice_is_right() -> None:
    assert parse_svaml(b"", Event.DICE) == parse_svaml(b"{}", Event.DICE) == Svaml(Hangup())


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["connectPstn", "say", "#tts[x]", "sip"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
_NAMES = st.sampled_from(
    [
        "name",
        "number",
        "cli",
        "destination",
        "type",
        "endpoint",
        "callHeaders",
        "key",
        "value",
        "text",
        "ids",
        "locale",
        "dtmf",
        "amd",
        "record",
        "conferenceId",
        "moh",
        "transport",
    ]
)
_OBJECT = st.dictionaries(_NAMES, _JSON, max_size=8)
_ACTION_NAMES = st.sampled_from(["hangup", "continue", "connectPstn", "connectMxp", "connectConf", "connectSip", "runMenu"])
_INSTRUCTION_NAMES = st.sampled_from(["answer", "say", "playFiles", "sendDtmf", "setCookie", "startRecording"])
_NEARLY = st.fixed_dictionaries(
    {
        "action": st.builds(lambda fields, name: fields | {"name": name}, _OBJECT, _ACTION_NAMES),
        "instructions": st.lists(st.builds(lambda fields, name: fields | {"name": name}, _OBJECT, _INSTRUCTION_NAMES), max_size=3),
    }
)


@given(st.one_of(_JSON, _NEARLY), st.sampled_from(Event))
def test_any_json_is_an_answer_or_complaints(value: object, event: Event) -> None:
    try:
        answer = read_svaml(value, event)
    except SvamlError as error:
        assert error.complaints
        assert all(str(one).isprintable() for one in error.complaints)
        str(error).encode()
    else:
        assert isinstance(answer, Svaml)


@given(st.binary(max_size=200), st.sampled_from(Event))
def test_any_bytes_are_an_answer_or_complaints(body: bytes, event: Event) -> None:
    try:
        parse_svaml(body, event)
    except SvamlError as error:
        assert error.complaints
