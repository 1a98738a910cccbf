"""Messages after RFC 4475 ("torture") on the wire: each gets the answer that the RFC asks for, or none, and the next one is served."""

import asyncio

import pytest

from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sip.transactions.transaction import Timing
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.raw import SDP, Raw, raw, tag_of
from tests.peers.peerkit.station import station

QUICK = Timing(t1=0.005, t2=0.04, t4=0.05)
BODY = SDP.format(host=HOST, port=9)

# Section of the RFC, method in the first line, headers beside Via, To, From, Call-ID; what the first line of the answer may begin with.
VALID = {
    "3.1.1.1 short, folded, compact, odd white space": (
        "INVITE",
        [
            "TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    =1918181833n",
            'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8',
            "MaX-fOrWaRdS: 0068",
            "cseq: 0009\r\n  INVITE",
            "s :",
            "NewFangledHeader:   newfangled value\r\n continued newfangled value",
            "UnknownHeaderWithUnusualValue: ;;,,;;,;",
            'm:"Quoted string \\"\\"" <sip:jdrosen@127.0.0.1> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33',
        ],
        ("481", "200", "180"),  # it has a To tag: a dialog that nobody knows
    ),
    "3.1.1.2 every character that a method may have": (
        "!interesting-Method0123456789_*+`.%indeed'~",
        ["CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~"],
        ("501",),
    ),
    "3.1.1.3 escaped characters in URIs": (
        "INVITE",
        ["CSeq: 234234 INVITE", "Contact: <sip:cal%6Cer@127.0.0.1:5060;%6C%72;n%61me=v%61lue%25%34%31>"],
        ("200", "180"),
    ),
    "3.1.1.8 extra bytes after the message": ("OPTIONS", ["CSeq: 8 OPTIONS"], ("200",)),
    "3.1.1.11 a multipart body": (
        "INVITE",
        ["CSeq: 1 INVITE", 'Content-Type: multipart/mixed;boundary="7a9cbec02ceef655"'],
        ("200", "180", "415"),
    ),
    "3.1.1.12 a reason of many characters": ("OPTIONS", ["CSeq: 1 OPTIONS", "Subject: \u043f\u0440\u0438\u0432\u0435\u0442"], ("200",)),
}
INVALID = {
    "3.1.2.1 trailing separators": ("INVITE", ["CSeq: 8 INVITE", "Contact: <sip:joe@127.0.0.1>;;;;"], ("400", "200", "180")),
    "3.1.2.2 a length beyond the end": ("INVITE", ["CSeq: 8 INVITE", "Content-Length: 9999"], ("400",)),
    "3.1.2.3 a negative length": ("INVITE", ["CSeq: 8 INVITE", "Content-Length: -999"], ("400",)),
    "3.1.2.4 a CSeq that doesn't fit": ("INVITE", ["CSeq: 36893488147419103232 INVITE"], ("400",)),
    "3.1.2.6 a display name that never ends": ("INVITE", ["CSeq: 8 INVITE", 'Contact: "Joe <sip:joe@127.0.0.1>'], ("400",)),
    "3.1.2.12 a date of another zone": ("INVITE", ["CSeq: 8 INVITE", "Date: Fri, 01 Jan 2010 16:00:00 EST"], ("200", "180", "400")),
    "3.1.2.17 two methods": ("OPTIONS", ["CSeq: 8 INVITE"], ("400",)),
    "3.1.2.18 an unknown method and another one": ("NEWMETHOD", ["CSeq: 8 INVITE"], ("400", "501")),
    "3.3.2 an unknown scheme": ("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent", ["CSeq: 3 OPTIONS"], ("416", "400")),
    "3.3.3 a known scheme of others": ("OPTIONS soap.beep://192.0.2.103:3002", ["CSeq: 3 OPTIONS"], ("416", "400")),
    "3.3.5 unknown extensions": (
        "OPTIONS",
        ["CSeq: 3 OPTIONS", "Require: nothingSupportsThis, nothingSupportsThisEither"],
        ("420",),
    ),
    "3.3.6 an unknown kind of body": ("INVITE", ["CSeq: 3 INVITE", "Content-Type: application/unknownformat"], ("415",)),
    "3.3.8 two of what there is one": ("INVITE", ["CSeq: 5 INVITE", "CSeq: 59 INVITE", "Max-Forwards: 5"], ("400",)),
    "3.3.9 two lengths": ("OPTIONS", ["CSeq: 5 OPTIONS", "Content-Length: 13", "Content-Length: 5"], ("400",)),
    "3.3.15 a kind of answer that we don't have": ("INVITE", ["CSeq: 3 INVITE", "Accept: text/nobodyKnowsThis"], ("406",)),
}


def compose(peer: Raw, call_id: str, start: str, headers: list[str]) -> bytes:
    """A message of the tables: what it doesn't name itself is put there."""
    method, _, uri = start.partition(" ")
    body = BODY if method == "INVITE" else ""
    names = {line.split(":")[0].strip().lower() for line in headers}
    lines = [f"{method} {uri or f'sip:bob@{HOST}:{peer.to}'} SIP/2.0"]
    lines += [f"Via: SIP/2.0/UDP {HOST}:{peer.port};rport;branch=z9hG4bK{call_id}", f"Call-ID: {call_id}"]
    lines += [] if "max-forwards" in names else ["Max-Forwards: 70"]
    lines += [] if "from" in names else [f"From: <sip:raw@{HOST}>;tag={call_id}"]
    lines += [] if "to" in names else [f"To: <sip:bob@{HOST}>"]
    lines += [] if {"contact", "m"} & names else [f"Contact: <sip:raw@{HOST}:{peer.port}>"]
    lines += [] if "content-type" in names or not body else ["Content-Type: application/sdp"]
    lines += headers + ([] if "content-length" in names else [f"l: {len(body)}"])
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def serves(peer: Raw, number: int) -> None:
    """Whether the agent still answers."""
    peer.send(peer.request("OPTIONS", f"alive{number}"))
    assert " 200 " in (await peer.receives(f"alive{number}")).splitlines()[0]


async def finish(peer: Raw, call_id: str, answer: str) -> None:
    """Take part in what became of an INVITE."""
    if answer.startswith("SIP/2.0 180"):
        answer = await peer.receives(lambda one: call_id in one and one.startswith("SIP/2.0 200"))
    method = answer.split("CSeq:")[1].split()[1]
    if method == "INVITE":
        cseq = int(answer.split("CSeq:")[1].split()[0])
        branch = "" if answer.startswith("SIP/2.0 200") else call_id
        peer.send(peer.request("ACK", call_id, cseq=cseq, branch=branch, to_tag=tag_of(answer)).replace("tag=raw", f"tag={call_id}"))


@pytest.mark.parametrize("case", [*VALID, *INVALID])
async def test_the_answer_is_what_the_rfc_asks_for(media: MediaThread, case: str) -> None:
    start, headers, wanted = (VALID | INVALID)[case]
    async with station(media, timing=QUICK) as us, raw(us.agent.port) as peer:
        peer.send(compose(peer, "torture", start, headers) + (b"more" if "extra bytes" in case else b""))
        answer = await peer.receives(lambda one: "torture" in one and not one.startswith("SIP/2.0 100"))
        assert answer.split()[1] in wanted, answer
        await finish(peer, "torture", answer)
        await serves(peer, 1)
        for call in us.calls:
            await call.sip.hang_up()
        await us.at_rest()


DIALOG = b"Call-ID: x\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>"
NONSENSE = [
    b"INVITE sip:bob SIP/7.0\r\n\r\n",
    b"INVITE  sip:bob@127.0.0.1  SIP/2.0\r\n\r\n",
    b"INVITE sip:bob@127.0.0.1 SIP/2.0 \r\n\r\n",
    b"INVITE <sip:bob@127.0.0.1> SIP/2.0\r\n\r\n",
    b"INVITE sip:bob@127.0.0.1; transport=udp SIP/2.0\r\nVia: x\r\n\r\n",
    b"SIP/2.0 4294967301 better not break the receiver\r\nVia: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK1\r\nCSeq: 1 INVITE\r\n\r\n",
    b"SIP/2.0 200 OK\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK\r\nCSeq: 1 INVITE\r\n" + DIALOG + b";tag=2\r\n\r\n",
    b"SIP/2.0 100 \xff\xfe\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\n\r\n",
    b"ACK sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKy\r\nCSeq: 1 ACK\r\n" + DIALOG + b"\r\n\r\n",
    b"CANCEL sip:bob@127.0.0.1 SIP/2.0\r\n\r\n",
    b"OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 999.1.1.1:99999;branch=z9hG4bKz\r\nCSeq: 1 OPTIONS\r\n\r\n",
    b"OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\n" + b"Via: SIP/2.0/UDP a;branch=z9hG4bKa\r\n" * 500 + b"\r\n",
    b"OPTIONS sip:" + b"a" * 8000 + b"@127.0.0.1 SIP/2.0\r\n\r\n",
    b"OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nCSeq: 1 OPTIONS\r\nCall-ID: " + b"\x00" * 100 + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    bytes(range(256)) * 10,
    b"A" * 60_000,
    b"REGISTER sip:x SIP/2.0\r\nContact: *\r\nExpires: 1\r\n\r\n",
    b"INVITE sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK"
    + b"(" * 5000
    + b"\r\nFrom: "
    + b'"' * 3000
    + b"\r\n\r\n",
]


async def test_nonsense_costs_nothing_over_udp(media: MediaThread) -> None:
    async with station(media, timing=QUICK) as us, raw(us.agent.port) as peer:
        for number, message in enumerate(NONSENSE):
            peer.send(message)
            await serves(peer, number)
        assert us.agent.open_calls == 0
        await us.at_rest()


async def test_nonsense_costs_a_connection_over_tcp(media: MediaThread) -> None:
    async with station(media, timing=QUICK) as us, raw(us.agent.port) as peer:
        for number, message in enumerate(NONSENSE):
            reader, writer = await asyncio.open_connection(HOST, us.agent.port)
            writer.write(message)
            writer.write_eof()
            await asyncio.wait_for(reader.read(65_536), 10)
            writer.close()
            await serves(peer, number)
        await us.at_rest()
