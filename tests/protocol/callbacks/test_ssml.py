"""SSML is read by a list, and written anew: nothing that names a file, a place or a command gets to the voice."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.callbacks.ssml import MAX_ELEMENT_DEPTH, MAX_ELEMENTS, read_ssml


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<speak>one<break time='1s'/>two</speak>", '<speak>one<break time="1s"></break>two</speak>'),
        ("plain words", "<speak>plain words</speak>"),
        ('<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-GB"><p><s>a</s></p></speak>', "<p><s>a</s></p>"),
        ('<prosody rate="slow" pitch="+10%" volume="loud">a</prosody>', '<prosody rate="slow" pitch="+10%" volume="loud">a</prosody>'),
        ('<say-as interpret-as="digits">123</say-as>', '<say-as interpret-as="digits">123</say-as>'),
        ('<sub alias="World Wide Web">WWW</sub>', '<sub alias="World Wide Web">WWW</sub>'),
        ('<lang xml:lang="sv-SE">hej</lang>', '<voice xml:lang="sv-SE">hej</voice>'),
        ('<mark name="here"/>a', "<speak>a</speak>"),
        ('<speak xmlns:amazon="x"><amazon:effect name="whispered">a</amazon:effect></speak>', "<speak>a</speak>"),
        ("<!-- <audio src='x'/> -->a", "<speak>a</speak>"),
        ("a &lt;audio src='/x.wav'/&gt; &amp;lt;", "a &lt;audio src='/x.wav'/&gt; &amp;lt;"),
        ("<![CDATA[<audio src='/x.wav'/>]]>", "<speak>&lt;audio src='/x.wav'/&gt;</speak>"),
    ],
)
def test_the_platforms_elements_are_read_and_written_anew(text: str, read: str) -> None:
    assert read in read_ssml(text)


@pytest.mark.parametrize(
    "text",
    [
        "<audio src='/etc/hostname.wav'/>",
        "<speak>a<audio src='x.wav'>b</audio></speak>",
        "<AUDIO src='x.wav'/>",
        "<ssml:audio xmlns:ssml='http://www.w3.org/2001/10/synthesis' src='x.wav'/>",
        '<audio src="$(touch /tmp/attack).wav"/>',
        "<metadata>a</metadata>",
        "<lexicon uri='file:///etc/passwd'/>",
        "<tts:style field='punctuation' mode='all'>a</tts:style>",
        "<speak><speak>a</speak></speak>",
        "<break src='x.wav'/>",
        "<p onclick='x'>a</p>",
        "<voice name='../../../../tmp/attack'>a</voice>",
        "<voice name='/tmp/attack'>a</voice>",
        "<p xml:lang='../../tmp/attack'>a</p>",
        "<prosody rate='0%'>a</prosody>",
        "<prosody rate='1000000%'>a</prosody>",
        "<break time='11s'/>",
        "<break time='99999999s'/>",
        "<break time='10s'/>" * 7,
        "<?xml-stylesheet href='file:///etc/passwd'?><speak/>",
    ],
)
def test_attack_what_is_not_on_the_list_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^the SSML"):
        read_ssml(text)


@pytest.mark.parametrize(
    "text",
    [
        "<?xml version='1.0'?><!DOCTYPE speak SYSTEM 'file:///etc/passwd'><speak>a</speak>",
        "<?xml version='1.0'?><!DOCTYPE speak [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><speak>&a;</speak>",
        "<?xml version='1.0'?><!DOCTYPE s [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;'>]><speak>&b;</speak>",
        "<speak>&unknown;</speak>",
        "<speak>%a;<!DOCTYPE x></speak>",
    ],
)
def test_attack_document_types_and_entities_are_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_ssml(text)


@pytest.mark.parametrize("text", ["<speak>", "</speak>", "<speak>a</speak><speak>b</speak>", "a & b", "a < b", "<speak", "\x00", "\x01I"])
def test_what_is_not_well_formed_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="SSML"):
        read_ssml(text)


@pytest.mark.parametrize("text", ["<p>" * (MAX_ELEMENT_DEPTH + 1), "<w/>" * (MAX_ELEMENTS + 1), "<s>" * 100_000])
def test_attack_elements_are_bounded(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_ssml(text)


def test_a_refusal_shows_no_more_than_the_beginning_of_what_was_wrong() -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        read_ssml(f"<break time='{'9' * 4000}'/>")
    assert len(str(refused.value)) < 120


def test_a_lone_surrogate_is_a_replacement_and_no_error() -> None:
    assert read_ssml("a\ud800b") == "<speak>a?b</speak>"


@given(st.text(alphabet=st.sampled_from("<>/&;'\"=! audiospeak[]?-\x01"), max_size=60) | st.text(max_size=200))
def test_any_text_is_read_into_elements_of_the_list_or_refused(text: str) -> None:
    try:
        read = read_ssml(text)
    except RemoteProtocolError:
        return
    assert set(re.findall(r"<\s*/?\s*([^\s>/]+)", read)) <= {"speak", "p", "s", "break", "emphasis", "prosody", "say-as", "sub", "voice"}
    assert read_ssml(read) == read


def test_what_was_read_is_read_the_same_again() -> None:
    read = read_ssml("<speak>one<break time='1s'/><prosody volume='+6dB'>two</prosody> &lt;three&gt;</speak>")
    assert read_ssml(read) == read
