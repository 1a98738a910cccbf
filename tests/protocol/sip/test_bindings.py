"""The registrar's rules."""

import pytest

from sinchphone.protocol.sip.bindings import BindingLimits, Bindings, RegisterRefusedError
from sinchphone.protocol.sip.message import Request


def register(*contacts: str, cseq: int = 1, call_id: str = "c", expires: str | None = None) -> Request:
    headers = [("Contact", one) for one in contacts]
    headers += [
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} REGISTER"),
        ("To", "<sip:bob@example.com>"),
        ("From", "<sip:bob@example.com>;tag=1"),
    ]
    headers += [("Expires", expires)] if expires is not None else []
    return Request(tuple(headers), b"", "REGISTER")


def bindings(*requests: Request, **limits: int) -> Bindings[str]:
    made: Bindings[str] = Bindings(BindingLimits(**limits))
    for one in requests:
        made.register("bob", one, "source", 0.0)
    return made


def uris(made: Bindings[str], now: float = 0.0) -> list[str]:
    return [str(one.uri) for one in made.of("bob", now)]


def refusal(made: Bindings[str], request: Request) -> RegisterRefusedError:
    before = made.of("bob", 0.0)
    with pytest.raises(RegisterRefusedError) as refused:
        made.register("bob", request, "source", 0.0)
    assert made.of("bob", 0.0) == before
    return refused.value


def test_phones_are_added_listed_and_forgotten_in_time() -> None:
    made = bindings(register("<sip:bob@192.0.2.4>;expires=120", "<sip:bob@192.0.2.5>"))
    assert made.listed("bob", 20.0) == (("Contact", "<sip:bob@192.0.2.5>;expires=3580"), ("Contact", "<sip:bob@192.0.2.4>;expires=100"))
    assert uris(made, 121.0) == ["sip:bob@192.0.2.5"]
    assert uris(made, 4000.0) == []


def test_the_most_wanted_phone_comes_first() -> None:
    assert uris(bindings(register("<sip:a@x>;q=0.2", "<sip:b@x>", "<sip:c@x>;q=0.7"))) == ["sip:b@x", "sip:c@x", "sip:a@x"]


def test_a_phone_is_refreshed_and_not_doubled() -> None:
    made = bindings(register("<sip:bob@x;transport=tcp>"), register("<sip:bob@X;transport=TCP>;expires=90", cseq=2))
    assert made.listed("bob", 0.0) == (("Contact", "<sip:bob@X;transport=TCP>;expires=90"),)


def test_one_phone_is_removed_and_so_are_all() -> None:
    made = bindings(register("<sip:a@x>", "<sip:b@x>"), register("<sip:a@x>;expires=0", cseq=2))
    assert uris(made) == ["sip:b@x"]
    made.register("bob", register("*", cseq=3, expires="0"), "source", 0.0)
    assert uris(made) == []


@pytest.mark.parametrize(("contacts", "expires"), [(("*", "<sip:a@x>"), "0"), (("*",), "60"), (("*",), None)])
def test_a_star_stands_alone_and_with_expires_0(contacts: tuple[str, ...], expires: str | None) -> None:
    assert refusal(bindings(register("<sip:a@x>")), register(*contacts, cseq=2, expires=expires)).status == 400


def test_a_register_that_is_older_than_what_is_known_changes_nothing() -> None:
    made = bindings(register("<sip:a@x>", cseq=5))
    assert refusal(made, register("<sip:a@x>;expires=0", cseq=5)).status == 500
    assert refusal(made, register("*", cseq=4, expires="0")).status == 500
    made.register("bob", register("<sip:a@x>;expires=0", cseq=1, call_id="restarted"), "source", 0.0)
    assert uris(made) == []


def test_too_short_is_423_and_too_long_is_cut() -> None:
    refused = refusal(bindings(), register("<sip:a@x>;expires=30"))
    assert (refused.status, refused.headers) == (423, (("Min-Expires", "60"),))
    assert bindings(register("<sip:a@x>;expires=4294967296")).listed("bob", 0.0) == (("Contact", "<sip:a@x>;expires=7200"),)


@pytest.mark.parametrize("expires", ["abc", "", "-5", "1.5"])
def test_an_expires_that_cannot_be_read_is_the_usual_time(expires: str) -> None:
    assert bindings(register("<sip:a@x>", expires=expires)).listed("bob", 0.0) == (("Contact", "<sip:a@x>;expires=3600"),)


@pytest.mark.parametrize("contact", ["<tel:+123>", "sip:a@x?y=z", "<sip:a@x", "name-addr"])
def test_a_contact_that_cannot_be_called_is_refused(contact: str) -> None:
    assert refusal(bindings(), register(contact)).status == 400


def test_of_too_many_phones_the_oldest_is_forgotten_and_the_live_one_is_never_locked_out() -> None:
    made = bindings(*(register(f"<sip:bob@192.0.2.{at}>", call_id=str(at)) for at in range(11)), most=10)
    assert uris(made) == [f"sip:bob@192.0.2.{at}" for at in range(10, 0, -1)]
    made.register("bob", register("<sip:bob@192.0.2.1>", call_id="1", cseq=2), "source", 1.0)  # which is alive
    made.register("bob", register("<sip:bob@192.0.2.11>", call_id="11"), "source", 2.0)
    assert uris(made, 2.0) == ["sip:bob@192.0.2.11", "sip:bob@192.0.2.1", *(f"sip:bob@192.0.2.{at}" for at in range(10, 2, -1))]


def test_one_register_has_so_many_contacts_and_no_more() -> None:
    assert refusal(bindings(most=2), register("<sip:a@x>", "<sip:b@x>", "<sip:c@x>")).status == 403


def test_how_long_a_phone_wants_to_be_kept_makes_it_no_newer() -> None:
    made = bindings(register("<sip:dead@x>;expires=7200", call_id="dead"))
    made.register("bob", register("<sip:live@x>;expires=60", call_id="live"), "source", 10.0)
    assert uris(made, 20.0) == ["sip:live@x", "sip:dead@x"]


PHONE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (PHONE, PHONE),
        (f"{PHONE};reg-id=1", f"{PHONE.lower()};reg-id=1"),
        (PHONE, f"{PHONE};reg-id=1"),
        (f"{PHONE};reg-id=1", PHONE),
    ],
)
def test_a_phone_with_another_address_is_the_same_phone(older: str, newer: str) -> None:
    """Restarted behind a NAT, with another port and Call-ID (RFC 5626 6)."""
    made = bindings(register(f"<sip:bob@192.0.2.4:4000>;{older}", call_id="before"))
    made.register("bob", register(f"<sip:bob@192.0.2.4:5000>;{newer}", call_id="after"), "source", 1.0)
    assert uris(made, 1.0) == ["sip:bob@192.0.2.4:5000"]


def test_a_phone_that_registers_eleven_times_is_one_phone() -> None:
    made = bindings(*(register(f"<sip:bob@192.0.2.4:{4000 + at}>;{PHONE};reg-id=1", call_id=str(at)) for at in range(11)))
    assert uris(made) == ["sip:bob@192.0.2.4:4010"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{PHONE};reg-id=1", f"{PHONE};reg-id=2"),  # two ways to one phone
        (PHONE, '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000000000001>"'),
        ("reg-id=1", "reg-id=1"),  # of nobody
        ("x=y", PHONE),
        ('+sip.instance=""', '+sip.instance=""'),
    ],
)
def test_other_phones_and_other_ways_stay(one: str, other: str) -> None:
    made = bindings(register(f"<sip:a@x>;{one}", call_id="1"), register(f"<sip:b@x>;{other}", call_id="2"))
    assert uris(made) == ["sip:b@x", "sip:a@x"]


def test_one_register_may_name_several_addresses_of_a_phone() -> None:
    assert len(uris(bindings(register(f"<sip:a@x>;{PHONE}", f"<sip:a@x;transport=tcp>;{PHONE}")))) == 2


def test_a_phone_that_forgets_its_old_address_keeps_the_new_one() -> None:
    made = bindings(register(f"<sip:old@x>;{PHONE}"), register(f"<sip:new@x>;{PHONE}", cseq=2))
    made.register("bob", register(f"<sip:old@x>;{PHONE};expires=0", cseq=3), "source", 0.0)
    assert uris(made) == ["sip:new@x"]
    made.register("bob", register(f"<sip:new@x>;{PHONE};expires=0", cseq=4), "source", 0.0)
    assert uris(made) == []


def test_a_way_is_forgotten_by_its_number() -> None:
    made = bindings(register(f"<sip:a@x>;{PHONE};reg-id=1"), register(f"<sip:b@x>;{PHONE};reg-id=2", cseq=2))
    made.register("bob", register(f"<sip:c@x>;{PHONE};reg-id=1;expires=0", cseq=3), "source", 0.0)
    assert uris(made) == ["sip:b@x"]


def test_a_register_that_is_older_than_that_of_another_address_changes_nothing() -> None:
    made = bindings(register(f"<sip:new@x>;{PHONE}", cseq=5))
    assert refusal(made, register(f"<sip:old@x>;{PHONE}", cseq=4)).status == 500


def test_a_question_changes_nothing() -> None:
    made = bindings(register("<sip:a@x>"), register(cseq=2))
    assert uris(made) == ["sip:a@x"]


def test_a_q_that_is_none_is_1() -> None:
    assert [one.q for one in bindings(register("<sip:a@x>;q=7")).of("bob", 0.0)] == [1.0]
