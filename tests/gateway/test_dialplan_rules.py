import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import ConfigError
from sinchphone.gateway.routing.rules import Rule, Target, read_target, refusal_status


@pytest.mark.parametrize(
    ("pattern", "target", "dialled", "found"),
    [
        ("reception", "user:ada", "reception", "user:ada"),
        ("reception", "user:ada", "Reception", None),
        ("9*", "number:+{1}", "946700000000", "number:+46700000000"),
        ("*-*", "sip:{2}@{1}.example", "pbx-bob", "sip:bob@pbx.example"),
        ("2??", "user:{0}", "200", None),
        ("2??", "room:sales", "200", "room:sales"),
        ("2??", "room:sales", "2000", None),
        ("a.c", "echo", "abc", None),
        ("*", "refuse", "", "refuse"),
    ],
)
def test_a_pattern_says_what_was_dialled_and_the_target_may_repeat_it(pattern: str, target: str, dialled: str, found: str | None) -> None:
    if "{0}" in target:
        with pytest.raises(ConfigError):
            Rule(pattern, target)
    else:
        assert Rule(pattern, target).match(dialled) == found


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("user:ada", Target("user", "ada")),
        ("room:stand-up", Target("room", "stand-up")),
        ("number:+46700000000", Target("number", "+46700000000")),
        ("sip:bob@pbx.example:5070", Target("sip", "bob@pbx.example:5070")),
        ("sips:bob@pbx.example", Target("sips", "bob@pbx.example")),
        ("echo", Target("attendant", "echo")),
        ("hangup-after:3s", Target("attendant", "hangup-after:3s")),
        ("refuse", Target("refuse", "")),
        ("refuse:busy", Target("refuse", "busy")),
    ],
)
def test_a_target_is_a_user_a_room_a_number_an_address_one_of_our_own_or_a_refusal(text: str, target: Target) -> None:
    assert read_target(text) == target
    assert Rule("x", text).match("x") == text


@pytest.mark.parametrize(
    "text",
    (
        "|user:|user: a|room:|number:0700|number:+|sip:bob|sip:a@b\r\nX: y|nobody|refuse:maybe|refuse:200|refuse:4040|"
        f"hangup-after:soon|unknown|http://example.org|room:{'x' * 65}"
    ).split("|"),
)
def test_what_leads_nowhere_is_refused_when_the_configuration_is_read(text: str) -> None:
    with pytest.raises(ConfigError, match="target"):
        Rule("x", text)


@pytest.mark.parametrize(
    ("pattern", "target"), [("", "echo"), ("a\nb", "echo"), ("****", "echo"), ("x", "user:{1}"), ("*", "user:{2}"), ("*", "jump:{1}")]
)
def test_a_pattern_that_can_not_be_is_refused(pattern: str, target: str) -> None:
    with pytest.raises(ConfigError):
        Rule(pattern, target)


@pytest.mark.parametrize(("name", "status"), [("refuse", 603), ("refuse:busy", 486), ("refuse:503", 503), ("refuse:not-found", 404)])
def test_a_refusal_has_a_status(name: str, status: int) -> None:
    assert refusal_status(read_target(name)) == status


@given(st.text(max_size=40), st.text(max_size=300))
def test_any_pattern_takes_any_text_or_is_refused(pattern: str, dialled: str) -> None:
    with contextlib.suppress(ConfigError):
        assert Rule(pattern, "echo").match(dialled) in ("echo", None)


def test_attack_a_pattern_with_many_stars_does_not_take_long() -> None:
    assert Rule("*a*a*b", "echo").match("a" * 255) is None
