"""Digest authentication, both sides, and what attackers try."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.sip.digest import Answering, Challenge, Credentials, Fault, Gate, read_challenges
from sinchphone.protocol.sip.message import Request, Response
from sinchphone.protocol.sip.uri import SipUri, parse_uri

URI = parse_uri("sip:example.com")
USERS = {"alice": "secret", "zoë": "pässwörd", 'o"b\\c': 'q"\\'}


class Tokens:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"cnonce{self.count}"


def gate(**given: Any) -> Gate:
    return Gate("example.com", bytes(32), **given)


def refused(values: list[str], *, is_proxy: bool = False) -> Response:
    return Response(
        tuple(("Proxy-Authenticate" if is_proxy else "WWW-Authenticate", value) for value in values), b"", 407 if is_proxy else 401
    )


def request(headers: tuple[tuple[str, str], ...] = (), method: str = "REGISTER", uri: Any = URI) -> Request:
    return Request(headers, b"", method, uri)


def client(challenges: list[str], user: str = "alice", password: str = "secret") -> Answering:
    answering = Answering(Credentials(user, password), Tokens())
    assert answering.take(refused(challenges), request(), 0)
    return answering


@pytest.mark.parametrize(
    ("algorithm", "nonce", "cnonce", "user", "password", "realm", "response"),
    [
        (
            "",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "0a4f113b",
            "Mufasa",
            "Circle Of Life",
            "testrealm@host.com",
            "6629fae49393a05397450978507c4ef1",
        ),
        (
            "SHA-256",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "Mufasa",
            "Circle of Life",
            "http-auth@example.org",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ],
)
def test_the_examples_of_rfc_2617_and_rfc_7616_come_out(
    algorithm: str, nonce: str, cnonce: str, user: str, password: str, realm: str, response: str
) -> None:
    value = f'Digest realm="{realm}", qop="auth,auth-int", nonce="{nonce}", opaque="5ccc"' + (
        f", algorithm={algorithm}" if algorithm else ""
    )
    answering = Answering(Credentials(user, password), lambda: cnonce)
    assert answering.take(refused([value]), request(), 0)
    text = dict(answering.headers("GET", cast("SipUri", "/dir/index.html")))["Authorization"]
    assert f'response="{response}"' in text


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-SESS", "SHA-256-SESS"])
@pytest.mark.parametrize("user", list(USERS))
def test_the_right_password_is_let_in(algorithm: str, user: str) -> None:
    door = gate(algorithms=(algorithm,))
    answering = client(door.challenges(0.0, "random01"), user, USERS[user])
    for now in (1.0, 2.0):
        assert door.check(request(answering.headers("REGISTER", URI)), now, USERS.get, is_proxy=False) == user


def test_a_wrong_password_and_an_unknown_user_are_told_the_same() -> None:
    door = gate()
    for user, password in (("alice", "guess"), ("mallory", "secret")):
        answering = client(door.challenges(0.0, "random01"), user, password)
        assert door.check(request(answering.headers("REGISTER", URI)), 1.0, USERS.get, is_proxy=False) == Fault(was_wrong=True)


def test_nothing_is_no_attempt() -> None:
    assert gate().check(request(), 0.0, USERS.get, is_proxy=False) == Fault()
    assert gate().check(request((("Authorization", "NoOneKnowsThisScheme opaque-data=here"),)), 0.0, USERS.get, is_proxy=False) == Fault()


def test_an_overheard_answer_cannot_be_sent_again() -> None:
    door = gate()
    headers = client(door.challenges(0.0, "random01")).headers("REGISTER", URI)
    assert door.check(request(headers), 1.0, USERS.get, is_proxy=False) == "alice"
    assert door.check(request(headers), 1.5, USERS.get, is_proxy=False) == Fault(is_stale=True)


def test_an_overheard_answer_is_of_no_use_for_another_request() -> None:
    door = gate()
    headers = client(door.challenges(0.0, "random01")).headers("REGISTER", URI)
    assert door.check(request(headers, "INVITE"), 1.0, USERS.get, is_proxy=False) == Fault(was_wrong=True)
    assert door.check(request(headers, uri=parse_uri("sip:+4490@example.com")), 1.0, USERS.get, is_proxy=False) == Fault(was_wrong=True)


def test_requests_may_overtake_each_other_but_none_counts_twice() -> None:
    door = gate()
    answering = client(door.challenges(0.0, "random01"))
    sent = [request(answering.headers("REGISTER", URI)) for _ in range(6)]
    order = [2, 0, 1, 5, 3, 4]
    assert [door.check(sent[one], 1.0, USERS.get, is_proxy=False) for one in order] == ["alice"] * 6
    assert all(door.check(sent[one], 1.0, USERS.get, is_proxy=False) == Fault(is_stale=True) for one in order)


def test_a_nonce_expires_and_says_so() -> None:
    door = gate(nonce_seconds=60)
    headers = client(door.challenges(0.0, "random01")).headers("REGISTER", URI)
    assert door.check(request(headers), 61.0, USERS.get, is_proxy=False) == Fault(is_stale=True)
    assert "stale=true" in door.challenges(61.0, "random02", is_stale=True)[0]


def test_a_nonce_of_somebody_elses_making_is_stale() -> None:
    foreign = Gate("example.com", b"x" * 32)
    headers = client(foreign.challenges(0.0, "random01")).headers("REGISTER", URI)
    assert gate().check(request(headers), 1.0, USERS.get, is_proxy=False) == Fault(is_stale=True)


def test_attack_an_answer_to_a_challenge_that_was_never_made_counts_as_no_guess() -> None:
    foreign = Gate("example.com", b"x" * 32)
    headers = client(foreign.challenges(0.0, "random01"), "alice", "guess").headers("REGISTER", URI)
    assert gate().check(request(headers), 1.0, USERS.get, is_proxy=False) == Fault(is_stale=True)


def test_attack_a_challenge_is_of_no_use_at_another_address() -> None:
    door = gate()
    headers = client(door.challenges(0.0, "random01", source="192.0.2.66"), "alice", "guess").headers("REGISTER", URI)
    assert door.check(request(headers), 1.0, USERS.get, is_proxy=False, source="192.0.2.7") == Fault(is_stale=True)
    assert door.check(request(headers), 1.0, USERS.get, is_proxy=False, source="192.0.2.66") == Fault(was_wrong=True)


def without_qop(challenges: list[str]) -> list[str]:
    """As a client of RFC 2069 reads them."""
    return [one.replace(', qop="auth"', "") for one in challenges]


def test_an_older_client_answers_without_qop_once_for_each_challenge() -> None:
    door = gate()
    answering = client(without_qop(door.challenges(0.0, "random01")))
    headers = answering.headers("REGISTER", URI)
    assert "qop" not in headers[0][1] and "nc=" not in headers[0][1]
    assert door.check(request(headers), 1.0, USERS.get, is_proxy=False) == "alice"
    later = answering.headers("INVITE", URI)
    assert door.check(request(later, method="INVITE"), 2.0, USERS.get, is_proxy=False) == Fault(is_stale=True)
    assert answering.take(refused(without_qop(door.challenges(2.0, "random02", is_stale=True))), request(later), 1)
    assert door.check(request(answering.headers("INVITE", URI), method="INVITE"), 3.0, USERS.get, is_proxy=False) == "alice"


def test_attack_an_answer_without_qop_is_not_sent_again() -> None:
    door = gate()
    headers = client(without_qop(door.challenges(0.0, "random01"))).headers("REGISTER", URI)
    assert door.check(request(headers), 1.0, USERS.get, is_proxy=False) == "alice"
    assert door.check(request(headers), 2.0, USERS.get, is_proxy=False) == Fault(is_stale=True)


def test_attack_an_answer_without_qop_takes_no_nonce_that_was_used_with_it() -> None:
    door = gate()
    challenges = door.challenges(0.0, "random01")
    assert door.check(request(client(challenges).headers("REGISTER", URI)), 1.0, USERS.get, is_proxy=False) == "alice"
    headers = client(without_qop(challenges)).headers("REGISTER", URI)
    assert door.check(request(headers), 2.0, USERS.get, is_proxy=False) == Fault(is_stale=True)


def test_a_wrong_password_without_qop_is_a_guess() -> None:
    door = gate()
    headers = client(without_qop(door.challenges(0.0, "random01")), "alice", "guess").headers("REGISTER", URI)
    assert door.check(request(headers), 1.0, USERS.get, is_proxy=False) == Fault(was_wrong=True)


@pytest.mark.parametrize(("qop", "fault"), [("qop=auth", Fault()), ("qop=auth-int, nc=00000001", Fault(was_wrong=True))])
def test_an_answer_with_qop_has_its_count_and_the_qop_that_was_offered(qop: str, fault: Fault) -> None:
    door = gate()
    ((name, value),) = client(without_qop(door.challenges(0.0, "random01"))).headers("REGISTER", URI)[:1]
    assert door.check(request(((name, f"{value}, {qop}"),)), 1.0, USERS.get, is_proxy=False) == fault


def test_several_challenges_are_answered_in_one_request() -> None:
    answering = Answering(Credentials("alice", "secret"), Tokens())
    both = Response((("WWW-Authenticate", 'Digest realm="a", nonce="1"'), ("Proxy-Authenticate", 'Digest realm="b", nonce="2"')), b"", 401)
    assert answering.take(both, request(), 0)
    assert [name for name, _ in answering.headers("INVITE", URI)] == ["Authorization", "Proxy-Authorization"]


def test_challenges_may_share_a_header_and_the_topmost_that_we_know_counts() -> None:
    value = 'Basic realm="x", Digest realm="a", nonce="n,1", algorithm=SHA-512-256, qop="auth, auth-int", '
    value += 'Digest realm="a", nonce="2", algorithm=SHA-256, qop="auth", Digest realm="a", nonce="3"'
    found = read_challenges(refused([value]))
    assert found == [Challenge(False, "a", "2", "SHA-256", ("auth",)), Challenge(False, "a", "3")]
    answering = Answering(Credentials("alice", "secret"), Tokens())
    assert answering.take(refused([value]), request(), 0)
    assert 'nonce="2"' in answering.headers("INVITE", URI)[0][1]


def test_qop_is_written_without_quotes_and_opaque_comes_back() -> None:
    (_, text), *_ = client(['Digest realm="r", nonce="n", qop="auth", opaque=""']).headers("INVITE", URI)
    assert "qop=auth," in text
    assert 'opaque=""' in text


def test_without_credentials_or_a_challenge_there_is_no_second_try() -> None:
    assert not Answering(None, Tokens()).take(refused(['Digest realm="r", nonce="n"']), request(), 0)
    assert not Answering(Credentials("a", "b"), Tokens()).take(refused([]), request(), 0)
    assert not Answering(Credentials("a", "b"), Tokens()).take(refused(['Digest realm="r", nonce="n", qop="auth-conf"']), request(), 0)


def test_a_password_that_was_refused_is_not_sent_twice() -> None:
    answering = client(['Digest realm="r", nonce="1", qop="auth"'])
    sent = request(answering.headers("REGISTER", URI))
    assert not answering.take(refused(['Digest realm="r", nonce="1", qop="auth"']), sent, 1)
    assert not answering.take(refused(['Digest realm="r", nonce="2", qop="auth"']), sent, 1)
    assert answering.take(refused(['Digest realm="r", nonce="2", qop="auth", stale=true']), sent, 1)


def test_credentials_that_were_sent_unasked_may_be_too_old() -> None:
    answering = client(['Digest realm="r", nonce="1", qop="auth"'])
    later = request(answering.headers("BYE", URI), "BYE")
    assert answering.take(refused(['Digest realm="r", nonce="2", qop="auth"']), later, 0)


def test_passwords_are_not_in_a_repr() -> None:
    assert "secret" not in repr(Credentials("alice", "secret"))


@given(st.text(max_size=80))
def test_any_authorization_is_a_fault_and_nothing_else(text: str) -> None:
    door = gate()
    for value in (
        text,
        "Digest " + text,
        f'Digest username="alice", realm="example.com", nc=00000001, qop=auth, uri="sip:example.com", {text}',
    ):
        assert isinstance(door.check(request((("Authorization", value),)), 1.0, USERS.get, is_proxy=False), Fault)
        read_challenges(refused([value]))
