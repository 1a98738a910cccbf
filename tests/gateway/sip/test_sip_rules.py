"""What a SIP agent answers to whatever comes: raw messages over UDP and TCP, among them attacks."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import Refused, SipAnswered, SipCall, SipEnded, SipTarget
from sinchphone.gateway.sip.limits import SourceLimits
from sinchphone.gateway.sip.options import SipOptions, TrunkPeer
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.protocol.sip.digest import Answering, Credentials
from sinchphone.protocol.sip.message import Request, Response, read_message
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from tests.gateway.sip.raw_peer import NUMBER, QUIET, Peer, peer

LIMIT = 20.0
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
PARTS = (
    f"--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n"
    "--b\r\nContent-Type: application/isup\r\nContent-Disposition: signal;handling={}\r\n\r\nxyz\r\n--b--\r\n"
)
QUICK = Timing(t1=0.05, t2=0.2, t4=0.2)
ALICE = parse_address("<sip:alice@127.0.0.1>")


async def refuses(call: SipCall) -> None:
    await call.refuse(480)


@asynccontextmanager
async def agent(router: Callable[[SipCall], Awaitable[None]] = refuses, **options: Any) -> AsyncIterator[SipAgent]:
    registrar = options.pop("registrar", None)
    one = SipAgent(SipOptions(**{"port": 0, "open": True, "timing": QUICK, **options}), router=router, registrar=registrar)
    await one.start()
    try:
        yield one
    finally:
        await one.close()


@pytest.mark.parametrize(
    ("method", "given", "status"),
    [
        ("OPTIONS", {}, 200),
        ("OPTIONS", {"CSeq": "1 INVITE"}, 400),
        ("OPTIONS", {"Max_Forwards": "x"}, 400),
        ("OPTIONS", {"uri": "sip:a b@c"}, 400),
        ("OPTIONS", {"uri": "http://example.com"}, 416),
        ("OPTIONS", {"Require": "nothingSupportsThis, nothingSupportsThisEither"}, 420),
        ("OPTIONS", {"To": "<sip:bob@127.0.0.1>;tag=unknown"}, 481),
        ("INVITE", {"To": "<sip:bob@127.0.0.1>;tag=unknown"}, 481),
        ("BYE", {}, 481),
        ("CANCEL", {}, 481),
        ("PRACK", {}, 481),
        ("MESSAGE", {}, 405),
        ("REFER", {}, 405),
        ("REFER", {"Target_Dialog": "call;local-tag=a;remote-tag=b", "Refer_To": "<sip:carol@127.0.0.1>"}, 405),
        ("REGISTER", {}, 405),
        ("NEWMETHOD", {}, 501),
        ("INVITE", {"Contact": None}, 400),
        ("INVITE", {"Contact": "<tel:+1>"}, 400),
        ("INVITE", {"body": "x", "Content_Type": "application/unknownformat"}, 415),
        ("INVITE", {"body": SDP, "Content_Encoding": "gzip"}, 415),
        ("INVITE", {"body": PARTS.format("required"), "Content_Type": "multipart/mixed;boundary=b"}, 415),
        ("INVITE", {"body": PARTS.format("optional"), "Content_Type": "multipart/mixed;boundary=b"}, 480),
        ("INVITE", {"body": SDP, "Accept": "text/nobodyKnowsThis"}, 406),
        ("INVITE", {"body": SDP, "Supported": "timer", "Session_Expires": "30"}, 422),
        ("INVITE", {"body": SDP}, 480),
    ],
)
async def test_a_request_that_cannot_be_served_gets_its_status(method: str, given: dict[str, Any], status: int) -> None:
    async with agent() as one, peer(one) as mallory:
        branch = mallory.ask(method, **given)
        response = await mallory.hear()
        assert response.status == status
        assert response.via.branch == branch
        assert response.recipient.tag
        assert response.via.parameter("rport") == str(mallory.port)
        if status == 420:
            assert response.tokens("Unsupported") == {"nothingsupportsthis", "nothingsupportsthiseither"}
        if status in (405, 200, 501):
            assert "INVITE" in (response.first("Allow") or "")


async def test_another_version_is_505_and_rubbish_gets_nothing() -> None:
    async with agent() as one, peer(one) as mallory:
        mallory.say(
            "OPTIONS sip:a@b SIP/7.0",
            "Via: SIP/7.0/UDP 127.0.0.1:1;branch=z9hG4bKa",
            "f: <sip:a@b>;tag=1",
            "t: <sip:a@b>",
            "i: 1",
            "CSeq: 1 OPTIONS",
        )
        for rubbish in (
            "",
            "\x00" * 4,
            "hello",
            "SIP/2.0 200 OK",
            "INVITE",
            "ACK sip:a@b SIP/2.0",
            "GET / HTTP/1.1\r\nHost: x",
            "\xff" * 2000,
        ):
            mallory.say(rubbish)
        mallory.say(
            "SIP/2.0 200 OK",
            "Via: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bKx",
            "f: <sip:a@b>;tag=1",
            "t: <sip:a@b>;tag=2",
            "i: 1",
            "CSeq: 1 INVITE",
        )
        assert await mallory.hears_nothing()
        mallory.say(
            "OPTIONS sip:a@b SIP/7.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{mallory.port};branch=z9hG4bKa",
            "f: <sip:a@b>;tag=1",
            "t: <sip:a@b>",
            "i: 1",
            "CSeq: 1 OPTIONS",
        )
        await mallory.hear(505)


async def test_without_rport_the_answer_goes_to_the_port_of_the_via() -> None:
    async with agent() as one, peer(one) as mallory, peer(one) as other:
        mallory.ask(Via=f"SIP/2.0/UDP 10.1.2.3:{other.port};branch=z9hG4bKv{next(NUMBER)}")
        response = await other.hear(200)
        assert response.via.parameter("received") == "127.0.0.1"
        assert await mallory.hears_nothing()


async def test_the_same_invite_by_two_ways_is_482() -> None:
    waiting = asyncio.Event()

    async def waits(call: SipCall) -> None:
        await call.ring()
        await waiting.wait()

    async with agent(waits) as one, peer(one) as mallory:
        mallory.ask("INVITE", body=SDP, Call_ID="same")
        await mallory.hear(180)
        mallory.ask("INVITE", body=SDP, Call_ID="same")
        await mallory.hear(482)
        assert one.open_calls == 1


async def test_a_repeated_invite_makes_one_call() -> None:
    calls: list[SipCall] = []

    async def rings(call: SipCall) -> None:
        calls.append(call)
        await call.ring()

    async with agent(rings) as one, peer(one) as mallory:
        for _ in range(3):
            mallory.ask("INVITE", body=SDP, Call_ID="same", Via=f"SIP/2.0/UDP 127.0.0.1:{mallory.port};rport;branch=z9hG4bKsame")
        await mallory.hear(180)
        assert len(calls) == 1


async def test_a_cancel_that_crosses_the_answer_changes_nothing_and_the_call_can_be_ended() -> None:
    ended: list[object] = []

    async def answers(call: SipCall) -> None:
        await call.answer(SDP)
        ended.extend([event async for event in call.events()])

    async with agent(answers) as one, peer(one) as mallory:
        via = f"SIP/2.0/UDP 127.0.0.1:{mallory.port};rport;branch=z9hG4bKcross"
        mallory.ask("INVITE", body=SDP, Call_ID="cross", Via=via)
        ok = await mallory.hear(200)
        mallory.ask("CANCEL", Call_ID="cross", Via=via)
        answers_ = [await mallory.hear(200) for _ in range(2)]
        assert "CANCEL" in {each.cseq.method for each in answers_}
        to = ok.first("To") or ""
        mallory.ask("ACK", Call_ID="cross", To=to, CSeq="1 ACK")
        mallory.ask("BYE", Call_ID="cross", To=to, CSeq="2 BYE")
        while (await mallory.hear(200)).cseq.method != "BYE":
            pass
        async with asyncio.timeout(LIMIT):
            while not ended:
                await asyncio.sleep(0.01)
        assert ended == [SipEnded("the other side hung up")]


async def test_two_invites_crossing_a_cancel_leave_nothing_behind() -> None:
    async def rings(call: SipCall) -> None:
        await call.ring()

    async with agent(rings) as one, peer(one) as mallory:
        vias = [f"SIP/2.0/UDP 127.0.0.1:{mallory.port};rport;branch=z9hG4bKtwo{number}" for number in range(2)]
        for number, via in enumerate(vias):
            mallory.ask("INVITE", body=SDP, Call_ID=f"two{number}", Via=via)
            mallory.ask("CANCEL", Call_ID=f"two{number}", Via=via)
        heard: set[tuple[str, int]] = set()
        async with asyncio.timeout(LIMIT):
            while len([each for each in heard if each[1] == 487]) < 2:
                response = await mallory.hear()
                heard.add((response.call_id, response.status))
                if response.status == 487:
                    mallory.ask(
                        "ACK", Call_ID=response.call_id, Via=str(response.via).split(";received")[0], To=response.first("To"), CSeq="1 ACK"
                    )
            while one.open_calls or one.open_transactions:
                await asyncio.sleep(0.05)


async def test_an_acknowledgement_that_never_comes_ends_the_call_with_bye() -> None:
    async def answers(call: SipCall) -> None:
        await call.answer(SDP)

    async with agent(answers) as one, peer(one) as mallory:
        mallory.ask("INVITE", body=SDP)
        bye = await mallory.hear_request("BYE")
        assert 'text="no ACK"' in (bye.first("Reason") or "")


async def test_a_second_answer_of_a_fork_is_acknowledged_and_ended_on_the_wire() -> None:
    async with agent() as one, peer(one) as forker:
        call = one.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{forker.port}")), caller=ALICE, offer=SDP)
        invite = await forker.hear_request("INVITE")
        for tag in ("first", "second"):
            head = ["SIP/2.0 200 OK", *(f"{name}: {invite.first(name)}" for name in ("Via", "From", "Call-ID", "CSeq"))]
            forker.say(
                *head,
                f"To: <sip:bob@b>;tag={tag}",
                f"Contact: <sip:{tag}@127.0.0.1:{forker.port}>",
                "Content-Type: application/sdp",
                body=SDP,
            )
        bye = await forker.hear_request("BYE")
        assert bye.recipient.tag == "second"
        assert bye.uri.user == "second"
        assert not call.is_over
        assert one.open_calls == 1


async def test_requests_of_a_phone_behind_a_nat_go_where_its_messages_come_from() -> None:
    async with agent() as one, peer(one) as phone:
        call = one.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{phone.port}")), caller=ALICE, offer=SDP)
        invite = await phone.hear_request("INVITE")
        head = ["SIP/2.0 200 OK", *(f"{name}: {invite.first(name)}" for name in ("Via", "From", "Call-ID", "CSeq"))]
        phone.say(*head, "To: <sip:bob@b>;tag=p", "Contact: <sip:bob@10.99.99.99:5060>", "Content-Type: application/sdp", body=SDP)
        ack = await phone.hear_request("ACK")
        assert str(ack.uri) == "sip:bob@10.99.99.99:5060"
        await call.hang_up()
        await phone.hear_request("BYE")


@pytest.mark.parametrize("contact", ["sip:bob@phone.invalid:5060", "sip:bob@phone.invalid;transport=ws"])
async def test_a_contact_that_leads_nowhere_does_not_lose_the_call(contact: str) -> None:
    async with agent() as one, peer(one) as phone:
        call = one.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{phone.port}")), caller=ALICE, offer=SDP)
        invite = await phone.hear_request("INVITE")
        head = ["SIP/2.0 200 OK", *(f"{name}: {invite.first(name)}" for name in ("Via", "From", "Call-ID", "CSeq"))]
        phone.say(*head, "To: <sip:bob@b>;tag=p", f"Contact: <{contact}>", "Content-Type: application/sdp", body=SDP)
        await phone.hear_request("ACK")
        await call.hang_up()
        await phone.hear_request("BYE")


async def test_what_a_caller_writes_can_always_be_shown() -> None:
    calls: list[SipCall] = []

    async def notes(call: SipCall) -> None:
        calls.append(call)
        await call.refuse(480)

    async with agent(notes) as one, peer(one) as mallory:
        lines = [
            f"Via: SIP/2.0/UDP 127.0.0.1:{mallory.port};rport;branch=z9hG4bKbytes",
            'From: "\udcff" <sip:\udcfe@a>;tag=1',
            "To: <sip:b@c>",
        ]
        lines += ["Call-ID: \udcfd", "CSeq: 1 INVITE", "Contact: <sip:a@b>", "X-\udcfc: no", "", ""]
        mallory.transport.sendto("\r\n".join(["INVITE sip:b@c SIP/2.0", *lines]).encode("utf-8", "surrogateescape"), mallory.to)
        assert await mallory.hears_nothing()  # a name that is no token
        lines[-3] = "X-Note: \udcfc"
        mallory.transport.sendto("\r\n".join(["INVITE sip:b@c SIP/2.0", *lines]).encode("utf-8", "surrogateescape"), mallory.to)
        response = await mallory.hear(480)
        assert b"Call-ID: \xfd\r\n" in bytes(response)
        (call,) = calls
        assert all(text.encode() for text in (call.id, call.remote.name, str(call.remote), call.headers["x-note"]))


async def test_a_stranger_cannot_draw_our_requests_to_itself() -> None:
    calls: list[SipCall] = []

    async def answers(call: SipCall) -> None:
        calls.append(call)
        await call.answer(SDP)

    async with agent(answers) as one, peer(one) as phone, peer(one) as mallory:
        contact = "<sip:phone@10.99.99.99>"
        phone.ask("INVITE", body=SDP, Call_ID="known", Contact=contact)
        ok = await phone.hear(200)
        phone.ask("ACK", Call_ID="known", To=ok.first("To"), CSeq="1 ACK")
        mallory.ask("INFO", Call_ID="known", To=ok.first("To"), From="<sip:x@y>;tag=guess", CSeq="9 INFO")
        await mallory.hear(481)
        await calls[0].hang_up()
        await phone.hear_request("BYE")


async def test_a_response_from_a_stranger_without_the_branch_is_dropped() -> None:
    async with agent() as one, peer(one) as phone, peer(one) as mallory:
        call = one.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{phone.port}")), caller=ALICE, offer=SDP)
        invite = await phone.hear_request("INVITE")
        head = ["SIP/2.0 486 Busy", *(f"{name}: {invite.first(name)}" for name in ("From", "Call-ID", "CSeq"))]
        mallory.say(*head, "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKguess", "To: <sip:bob@b>;tag=evil")
        await asyncio.sleep(QUIET)
        assert not call.is_over


async def test_a_bye_of_a_stranger_who_guesses_tags_is_481() -> None:
    async def answers(call: SipCall) -> None:
        await call.answer(SDP)

    async with agent(answers) as one, peer(one) as phone, peer(one) as mallory:
        phone.ask("INVITE", body=SDP, Call_ID="known")
        ok = await phone.hear(200)
        phone.ask("ACK", Call_ID="known", To=ok.first("To"), CSeq="1 ACK")
        mallory.ask("BYE", Call_ID="known", To="<sip:bob@127.0.0.1>;tag=guess", CSeq="9 BYE")
        await mallory.hear(481)
        mallory.ask("BYE", Call_ID="known", To=ok.first("To"), From="<sip:x@y>;tag=guess", CSeq="9 BYE")
        await mallory.hear(481)
        assert one.open_calls == 1


async def test_a_header_of_ours_cannot_smuggle_another() -> None:
    async with agent() as one, peer(one) as phone:
        evil = {"X-Good": "1", "X-Evil": "a\r\nX-Injected: b", "Bad Name": "c"}
        one.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{phone.port}")), caller=ALICE, offer=SDP, headers=evil)
        invite = await phone.hear_request("INVITE")
        assert invite.first("X-Good") == "1"
        assert invite.first("X-Injected") is None


# Who may call and register.


def password(user: str = "bob", secret: str = "secret") -> Answering:
    return Answering(Credentials(user, secret), lambda: "cnonce")


async def register(mallory: Peer, user: str = "bob", secret: str = "secret", **given: str) -> Response:
    """REGISTER with the answer to the challenge."""
    uri = parse_uri("sip:127.0.0.1")
    own = {"To": f"<sip:{user}@127.0.0.1>", "From": f"<sip:{user}@127.0.0.1>;tag=r", "uri": str(uri), **given}
    mallory.ask("REGISTER", **own)
    challenge = await mallory.hear(401)
    answering = password(user, secret)
    assert answering.take(challenge, Request((), b"", "REGISTER", uri), 0)
    (_, value), *_ = answering.headers("REGISTER", uri)
    mallory.ask("REGISTER", **{**own, "Authorization": value, "CSeq": "2 REGISTER"})
    return await mallory.hear()


async def test_a_phone_registers_and_is_called_where_it_registered_from() -> None:
    registrar = Registrar({"bob": "secret"})
    async with agent(open=False, registrar=registrar) as one, peer(one) as phone:
        response = await register(phone, Contact="<sip:bob@10.99.99.99:5060>;expires=600")
        assert response.status == 200
        assert re.fullmatch(r"<sip:bob@10\.99\.99\.99:5060>;expires=(600|599)", response.first("Contact") or "")
        (contact,) = registrar.contacts("bob")
        one.invite(SipTarget(contact.uri, contact.hop), caller=ALICE, offer=SDP)
        invite = await phone.hear_request("INVITE")
        assert str(invite.uri) == "sip:bob@10.99.99.99:5060"


async def test_nobody_registers_phones_of_somebody_else() -> None:
    registrar = Registrar({"bob": "secret", "carol": "other"})
    async with agent(open=False, registrar=registrar) as one, peer(one) as mallory:
        assert (await register(mallory, To="<sip:carol@127.0.0.1>")).status == 403
        assert registrar.contacts("carol") == []


async def test_whether_a_user_exists_cannot_be_told_from_outside() -> None:
    registrar = Registrar({"bob": "secret"})
    async with agent(open=False, registrar=registrar) as one, peer(one) as mallory:
        shapes = []
        for user in ("bob", "nobody"):
            refused = await register(mallory, user, "guess")
            shapes.append((refused.status, refused.reason, [name for name, _ in refused.headers]))
            mallory.ask("INVITE", uri=f"sip:{user}@127.0.0.1", body=SDP)
            refused = await mallory.hear()
            shapes.append((refused.status, refused.reason, [name for name, _ in refused.headers]))
        assert shapes[:2] == shapes[2:]


async def test_who_guesses_passwords_is_told_to_try_later() -> None:
    limits = SourceLimits(failures_at_once=3, failures_a_second=0.0001)
    async with agent(open=False, registrar=Registrar({"bob": "secret"}), limits=limits) as one, peer(one) as mallory:
        for guess in ("a", "b", "c"):
            assert (await register(mallory, "bob", guess)).status == 401
        mallory.ask("REGISTER")
        refused = await mallory.hear()
        assert refused.status == 503
        assert "Retry-After" in [name for name, _ in refused.headers]


async def test_attack_forged_answers_do_not_silence_the_phone_at_that_address() -> None:
    limits = SourceLimits(failures_at_once=3, failures_a_second=0.0001)
    made_up = 'Digest username="bob", realm="sinchphone", nonce="x", uri="sip:127.0.0.1", qop=auth, nc=00000001, cnonce="a", response="00"'
    async with agent(open=False, registrar=Registrar({"bob": "secret"}), limits=limits) as one, peer(one) as phone:
        for _ in range(10):
            phone.ask("REGISTER", uri="sip:127.0.0.1", Authorization=made_up)
            await phone.hear(401)
        assert (await register(phone)).status == 200


@pytest.mark.parametrize("given", [{}, {"Contact": None}, {"Require": "magic"}, {"To": "<sip:bob@127.0.0.1>;tag=unknown"}])
async def test_attack_a_forged_invite_is_answered_once_and_nothing_of_it_is_kept(given: dict[str, Any]) -> None:
    async with agent(open=False, registrar=Registrar({"bob": "secret"})) as one, peer(one) as victim:
        victim.ask("INVITE", body=SDP, **given)
        refused = await victim.hear(407, 400, 420, 481)
        assert one.open_transactions == 0
        assert await victim.hears_nothing()  # four repeats would have come
        assert refused.recipient.tag


async def test_a_flood_of_registrations_is_turned_away_cheaply() -> None:
    limits = SourceLimits(registrations_at_once=5, registrations_a_second=0.0001)
    async with agent(open=False, registrar=Registrar({"bob": "secret"}), limits=limits) as one, peer(one) as mallory:
        for _ in range(20):
            mallory.ask("REGISTER")
        statuses = [(await mallory.hear()).status for _ in range(20)]
        assert statuses.count(401) == 5
        assert statuses.count(503) == 15
        assert one.open_transactions == 5


async def test_a_flood_of_requests_is_ignored() -> None:
    limits = SourceLimits(requests_at_once=10, requests_a_second=0.0001)
    async with agent(limits=limits) as one, peer(one) as mallory:
        for _ in range(50):
            mallory.ask("OPTIONS")
        for _ in range(10):
            await mallory.hear(200)
        assert await mallory.hears_nothing()


async def test_a_trunk_is_known_by_its_address_and_others_are_challenged() -> None:
    trunks: list[str | None] = []

    async def notes(call: SipCall) -> None:
        trunks.append(call.trunk)
        await call.refuse(480)

    trunk = TrunkPeer(name="carrier", hosts=frozenset({"127.0.0.1"}))
    async with agent(notes, open=False, registrar=Registrar({}), trunks=(trunk,)) as one, peer(one) as carrier:
        carrier.ask("INVITE", body=SDP)
        await carrier.hear(480)
    assert trunks == ["carrier"]
    async with agent(notes, open=False) as one, peer(one) as mallory:
        mallory.ask("INVITE", body=SDP)
        await mallory.hear(407)


async def test_more_calls_than_allowed_are_503() -> None:
    async def rings(call: SipCall) -> None:
        await call.ring()

    async with agent(rings, calls=2) as one, peer(one) as mallory:
        for _ in range(2):
            mallory.ask("INVITE", body=SDP)
            await mallory.hear(180)
        mallory.ask("INVITE", body=SDP)
        assert (await mallory.hear(503)).first("Retry-After")


# Streams, sizes, loss.


async def test_a_long_request_goes_by_tcp_and_by_udp_where_there_is_none() -> None:
    heard: list[tuple[str, int]] = []

    async def notes(call: SipCall) -> None:
        source = call.facts.source
        heard.append((source.transport if source else "", len(call.headers)))
        await call.refuse(486)

    headers = {f"X-Long-{number}": "x" * 100 for number in range(15)}
    async with agent(notes) as bob, agent() as alice, peer(bob) as phone:
        events = alice.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{bob.port}")), caller=ALICE, offer=SDP, headers=headers).events()
        async with asyncio.timeout(LIMIT):
            assert [event async for event in events] == [Refused(486, "Busy Here")]
        assert heard == [("tcp", 15)]
        alice.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{phone.port}")), caller=ALICE, offer=SDP, headers=headers)
        assert len(bytes(await phone.hear_request("INVITE"))) > 1300


async def test_a_phone_on_tcp_is_reached_over_its_own_connection() -> None:
    registrar = Registrar({"bob": "secret"})
    async with agent(registrar=registrar) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)

        async def say(text: str) -> None:
            writer.write(text.replace("\n", "\r\n").encode())
            await writer.drain()

        async def hear() -> bytes:
            async with asyncio.timeout(LIMIT):
                return await reader.readuntil(b"\r\n\r\n")

        head = "Via: SIP/2.0/TCP 10.9.9.9:1;branch=z9hG4bK{0}\nFrom: <sip:bob@127.0.0.1>;tag=r\nTo: <sip:bob@127.0.0.1>\n"
        head += "Call-ID: tcp\nCSeq: {0} REGISTER\n"
        contact = "Contact: <sip:bob@10.9.9.9:1;transport=tcp>\nContent-Length: 0\n"
        await say("REGISTER sip:127.0.0.1 SIP/2.0\n" + head.format(1) + contact + "\n")
        challenge = read_message(await hear())
        assert isinstance(challenge, Response)
        answering = password()
        uri = parse_uri("sip:127.0.0.1")
        assert answering.take(challenge, Request((), b"", "REGISTER", uri), 0)
        await say(
            "REGISTER sip:127.0.0.1 SIP/2.0\n"
            + head.format(2)
            + f"Authorization: {answering.headers('REGISTER', uri)[0][1]}\n"
            + contact
            + "\n"
        )
        assert b" 200 OK" in await hear()
        (found,) = registrar.contacts("bob")
        call = one.invite(SipTarget(found.uri, found.hop), caller=ALICE, offer=SDP)
        assert (await hear()).startswith(b"INVITE sip:bob@10.9.9.9:1")
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(LIMIT):
            (event,) = [event async for event in call.events()]
        assert isinstance(event, Refused)
        assert event.status in (408, 503)


class Lossy:
    """A way between two agents that loses a share of the datagrams, always the same ones."""

    def __init__(self, to: int, pattern: str) -> None:
        self.to, self.pattern, self.number = ("127.0.0.1", to), pattern, 0
        self.back: dict[tuple[str, int], Any] = {}

    def passes(self) -> bool:
        self.number += 1
        return self.pattern[self.number % len(self.pattern)] == "."


@pytest.mark.parametrize("pattern", ["x..", "..x", "x.x......", ".x.x.x....."])
async def test_calls_get_through_with_a_third_of_the_datagrams_lost(pattern: str) -> None:
    async def answers(call: SipCall) -> None:
        await call.ring()
        await call.answer(SDP)
        async for _ in call.events():
            pass

    async with agent(answers) as bob, agent() as alice:
        for one in (alice, bob):
            _lose(one, Lossy(0, pattern))
        for _ in range(3):
            call = alice.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{bob.port}")), caller=ALICE, offer=SDP)
            kinds = []
            async with asyncio.timeout(LIMIT):
                async for event in call.events():
                    kinds.append(type(event))
                    if isinstance(event, SipAnswered):
                        await call.hang_up()
            assert kinds[-2:] == [SipAnswered, SipEnded]
        async with asyncio.timeout(LIMIT):
            while alice.open_transactions or bob.open_transactions or bob.open_calls:
                await asyncio.sleep(0.05)


def _lose(one: SipAgent, lossy: Lossy) -> None:
    """The door that is mocked: the sockets of an agent."""
    transports: Any = one._wire._transports
    send = transports.send
    transports.send = lambda data, hop, failed=None: send(data, hop, failed) if lossy.passes() else None


async def test_an_offer_among_other_parts_is_the_calls_offer() -> None:
    offered: asyncio.Queue[str | None] = asyncio.Queue()

    async def keeps(call: SipCall) -> None:
        offered.put_nowait(call.facts.offer)
        await call.refuse(480)

    async with agent(keeps) as one, peer(one) as mallory:
        mallory.ask("INVITE", body=PARTS.format("optional"), Content_Type="multipart/mixed; boundary=b")
        assert (await mallory.hear()).status == 480
        assert offered.get_nowait() == SDP
        mallory.ask("INVITE", body=PARTS.format("required"), Content_Type="multipart/mixed; boundary=b")
        assert "multipart/mixed" in ((await mallory.hear(415)).first("Accept") or "")
