"""Whatever is made of valid bytes and texts from the network, a parser reads it or refuses it as its docstring says.

One table of the parsers that no other file of this folder has; RTP, RED, digits, SDP, SIP messages, MXP and SVAML have files of their own.
The inputs are the same each time: a failure shows the one that it happened with.
"""

import base64
import json
import re
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any, Final, cast

import dns.flags
import dns.message
import dns.rrset
import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sinchphone.errors import AuthenticationError, MediaError, RemoteProtocolError
from sinchphone.gateway.relay import ng
from sinchphone.media.agreement import OpusWishes
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice import resolver, turn
from sinchphone.media.webrtc.ice.ice_socket import MALFORMED
from sinchphone.protocol import auth
from sinchphone.protocol.call.room_events import decode_room_event
from sinchphone.protocol.call.transfer_events import TransferWish, decode_transfer, encode_transfer
from sinchphone.protocol.callbacks.stream_messages import read_command
from sinchphone.protocol.mxp import public_headers
from sinchphone.protocol.mxp.message import decode_client, decode_failure
from sinchphone.protocol.rtp.transport_feedback import Arrivals, decode_feedbacks, number_packet, packet_number
from sinchphone.protocol.rtp.video.feedback import decode_picture_feedback, encode_pli
from sinchphone.protocol.rtp.video.h264 import cut_h264, read_h264
from sinchphone.protocol.rtp.video.vp8 import cut_vp8, read_vp8
from sinchphone.protocol.sip.digest import read_challenges
from sinchphone.protocol.sip.flow_token import FlowEnd, FlowToken, open_token, seal
from sinchphone.protocol.sip.framing import StreamFramer
from sinchphone.protocol.sip.headers.replaces import parse_replaces
from sinchphone.protocol.sip.message import Response, read_message
from sinchphone.protocol.sip.session.dtmf_info import read_digit
from sinchphone.protocol.sip.session.timer import read_session_expires
from sinchphone.protocol.webpush.encryption import ReceiverKeys, decrypt_push, encrypt_push
from sinchphone.protocol.webpush.keys import KeyPair, write_base64
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.protocol.webpush.vapid import read_vapid, write_vapid
from sinchphone.signaling.dialect import (
    Instance,
    OfferedIceServer,
    Placement,
    Profile,
    PubSubConfig,
    PushConfig,
    Recipient,
    RemoteInstance,
    Transport,
    TransportParticipant,
)
from sinchphone.signaling.fields import Record
from sinchphone.signaling.ocra.calls import read_ice_servers, read_placement, write_ice_servers, write_placement
from sinchphone.signaling.ocra.names import read_authorization
from sinchphone.signaling.ocra.registration import (
    InstanceConfiguration,
    read_configuration,
    read_created,
    read_prolonged,
    write_configuration,
    write_created,
    write_prolonged,
)
from sinchphone.signaling.papi import calls as papi_calls
from sinchphone.signaling.papi import registration as papi_registration
from sinchphone.signaling.papi.users import read_ticket
from sinchphone.signaling.pubsub.answers import read_publish_answer, read_refusal, read_subscribe_answer, read_time_answer, skip_past
from sinchphone.signaling.push.notification import CallNotification, read_content, read_payload, write_content, write_payload
from sinchphone.signaling.rest.refusals import read_error
from sinchphone.signaling.rest.software import Software
from sinchphone.signaling.rest.transports import read_transport, write_transport
from sinchphone.signaling.services.verification import VerificationNews
from sinchphone.signaling.wire import read_time
from tests.fuzz.conftest import SECONDS
from tests.fuzz.edits import KINDS, MARKS, NUMBERS, Edit, edited

INPUTS: Final = 500  # of each parser
JSON_WORDS: Final = ("null", "true", "{}", "[]", "1e999", "NaN", "-Infinity", "0.5", '"\\ud800"', "[" * 3000, '{"a":' * 3000)
WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Parser:
    """``read`` takes what ``samples`` are; each of them is read, edited ones may be refused by ``refusals``."""

    name: str
    read: Callable[[Any], object]
    samples: tuple[bytes | str, ...]
    refusals: tuple[type[Exception], ...] = ()


def as_bytes(read: Callable[[bytes], object]) -> Callable[[str], object]:
    """A parser of bytes whose samples are texts."""
    return lambda text: read(text.encode("utf-8", "surrogatepass"))


# what is made from a sample


def edited_text(random: Random, sample: str) -> str:
    words = (*WORD.findall(sample), *NUMBERS, *MARKS, *JSON_WORDS)
    changes = [
        Edit(random.choice(KINDS), random.randrange(401), random.randrange(41), random.choice(words)) for _ in range(random.randint(1, 4))
    ]
    return edited(sample, changes)


def edited_bytes(random: Random, sample: bytes) -> bytes:
    data = bytearray(sample)
    for _ in range(random.randint(1, 6)):
        at, size = random.randrange(len(data) + 1), random.choice((1, 1, 2, 4, 16))
        match random.randrange(6):
            case 0:
                del data[at : at + size]
            case 1:
                data[at:at] = random.randbytes(size)
            case 2:
                data[at : at + size] = random.choice((b"\x00", b"\xff", b"\x7f", b"\x80")) * size
            case 3:
                data[at:at] = data[at : at + 4 * size]
            case 4 if random.random() < 0.3:
                del data[at:]
            case _ if at < len(data):
                data[at] ^= 1 << random.randrange(8)
    return bytes(data)


# the parsers that need more than their input

NOW: Final = 1_790_000_000.0
APPLICATION: Final = "9ae8a3e7-1c0f-4e0f-8a4d-0e6f0d6f1a11"
SECRET: Final = bytes(range(32))
ENDPOINT: Final = "https://push.example/1"
SENDER, RECEIVER = (KeyPair.from_random(bytes([fill]) * 48) for fill in (1, 2))
KEYS: Final = ReceiverKeys(RECEIVER, bytes(16))
FLOW: Final = FlowToken(FlowEnd("tls", "192.0.2.7", 5061, 3), FlowEnd("udp", "192.0.2.8", 5060), from_phone=True)
CALL: Final = CallNotification(call_id="c-1", remote_user_id="alice", sent_at=NOW, headers={"a": "b"}, display_name="Alice")


def read_signed_claims(claims: str) -> object:
    """A registration token whose content is anything, signed all the same."""
    head = {"kid": "hkdfv1-20260921", "alg": "HS256"}
    token = jwt.PyJWS().encode(claims.encode("utf-8", "surrogatepass"), auth._signing_key(SECRET, "20260921"), "HS256", headers=head)
    return auth.verify_registration_token(token, application_key=APPLICATION, secret=SECRET, now=NOW)


def read_signed_ticket(fields: str) -> object:
    signed = fields.encode("utf-8", "surrogatepass")
    ticket = ":".join(base64.b64encode(part).decode() for part in (signed, auth._hmac(SECRET, signed)))
    return auth.verify_user_ticket(ticket, application_key=APPLICATION, secret=SECRET, now=NOW)


def read_signed_vapid(claims: str) -> object:
    signed = ".".join(write_base64(part) for part in (b'{"typ":"JWT","alg":"ES256"}', claims.encode("utf-8", "surrogatepass")))
    r, s = decode_dss_signature(SENDER.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    signature = write_base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return read_vapid(f"vapid t={signed}.{signature}, k={write_base64(SENDER.public_bytes)}", ENDPOINT, NOW)


def read_push_object(text: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return read_payload(value) if isinstance(value, dict) else None


def read_stream(data: bytes) -> None:
    framer = StreamFramer()
    for at in range(0, len(data), 40):
        for framed in framer.push(data[at : at + 40]):
            if isinstance(framed, bytes):
                read_message(framed, is_stream=True)


def read_mdns(data: bytes) -> object:
    found: list[str] = []
    answer = SimpleNamespace(done=lambda: False, set_result=found.append)
    resolver._Asking("a.local", cast(Any, answer)).datagram_received(data, ("192.0.2.1", 5353))
    return found


def read_turn(data: bytes) -> None:
    packets: list[bytes] = []
    receiver = SimpleNamespace(datagram_received=lambda packet, _: packets.append(packet))
    allocation = turn.Allocation(cast(Any, None), ("192.0.2.1", 3478), cast(Any, receiver))
    allocation._peers[0x4000] = ("192.0.2.9", 9)
    link = turn._StreamLink(allocation)
    for at in range(0, len(data), 30):
        link.data_received(data[at : at + 30])


def challenged(value: str) -> object:
    return read_challenges(Response(headers=(("WWW-Authenticate", value),), status=401, reason="Unauthorized"))


def refreshed(value: str) -> object:
    return read_session_expires(Response(headers=(("Session-Expires", value),), status=200, reason="OK"))


def stun_messages() -> tuple[bytes, ...]:
    success = seam.StunMessage(seam.StunMethod.BINDING, seam.StunClass.RESPONSE, bytes(12))
    success.attributes |= {"XOR-MAPPED-ADDRESS": ("192.0.2.1", 4000), "SOFTWARE": "x"}
    success.add_message_integrity(b"key")
    refusal = seam.StunMessage(seam.StunMethod.ALLOCATE, seam.StunClass.ERROR, bytes(12))
    refusal.attributes |= {"ERROR-CODE": (401, "Unauthorized"), "REALM": "here", "NONCE": b"once"}
    told = seam.StunMessage(seam.StunMethod.DATA, seam.StunClass.INDICATION, bytes(12))
    told.attributes |= {"XOR-PEER-ADDRESS": ("2001:db8::1", 4000), "DATA": b"data"}
    return bytes(success), bytes(refusal), bytes(told)


def mdns_answers() -> tuple[bytes, ...]:
    wires = []
    for kind, address in (("A", "192.0.2.5"), ("AAAA", "2001:db8::5")):
        message = dns.message.make_query("a.local.", kind, id=0)
        message.flags |= dns.flags.QR
        message.answer.append(dns.rrset.from_text("a.local.", 120, "IN", kind, address))
        wires.append(message.to_wire())
    return tuple(wires)


def feedback() -> bytes:
    arrivals = Arrivals()
    for number in (1, 2, 3, 5, 9, 40, 41):
        arrivals.note(number, NOW + number / 50)
    return arrivals.encode(1, 2, "a")[0]


RTP: Final = struct.pack("!BBHII", 0x80, 111, 1, 960, 7) + bytes(20)
CLAIMS: Final = {
    "iss": f"//rtc.sinch.com/applications/{APPLICATION}",
    "sub": f"//rtc.sinch.com/applications/{APPLICATION}/users/alice",
    "iat": int(NOW),
    "exp": int(NOW) + 600,
    "nonce": "n",
}
TICKET: Final = {
    "applicationKey": APPLICATION,
    "identity": {"type": "username", "endpoint": "alice"},
    "created": "2026-09-21T14:13:20.000Z",
    "expiresIn": 600,
}
TOKEN: Final = auth.sign_registration_token(APPLICATION, SECRET, "alice", issued_at=int(NOW), nonce="n")
TICKET_TEXT: Final = auth.sign_user_ticket(APPLICATION, SECRET, "alice", created_at=NOW, lifetime_s=600)
STREAM: Final = (
    "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:b@192.0.2.2>;tag=1\r\n"
    "To: <sip:a@192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 2\r\n\r\nhi\r\n\r\n"
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK2\r\nFrom: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.2>;tag=2\r\n"
    "Call-ID: 2\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n\r\n"
)
SUBSCRIBED: Final = '{"t":{"t":"17000000000000001","r":4},"m":[{"c":"channel","d":{"pn":"x"},"p":{"t":"17000000000000000","r":4},"i":"u"}]}'
CHALLENGE: Final = 'Digest realm="a, b", nonce="n\\"1", algorithm=SHA-256, qop="auth,auth-int", opaque="o", stale=false, Basic realm="c"'
ROSTER: Final = '{"name":"RoomMembers","count":1,"members":[{"name":"a","speaks":true,"muted":false,"onhold":false,"you":true}]}'
CLIENT: Final = '{"userId":"alice","instanceId":"i","platform":"p","version":"1","headers":{"a":"b"}}'
FAILURE: Final = '{"code":1000,"domain":"sip","message":"m","reason":"m","headers":{"a":"b"}}'

KEY_TEXT: Final = base64.b64encode(bytes(16)).decode()
NETWORK: Final = {"host": "pubsub.example", "subscribeKey": "sub", "publishKey": "pub"}
INSTANCE: Final = Instance("i-1", bytes(32), "alice", "d-1", NOW)
CONFIGURATION: Final = InstanceConfiguration(
    PubSubConfig("pubsub.example:443", False, "sub", "sub2", "pub2", "pub"),
    Profile("b-1", "s-1", bytes(16), "t-1"),
    ("stun:stun.example:3478",),
    push=PushConfig(SENDER.public_bytes, "wss://push.example"),
)
PEERS: Final = (RemoteInstance("i-2", ("push", "p2p")), RemoteInstance("i-3"))
CREATED: Final = write_created(INSTANCE, CONFIGURATION, ("p2p",), Software("app", "linux", "linux"))
CLOUD_ANSWERS: Final[dict[str, tuple[Callable[[bytes], object], str]]] = {
    "create instance": (partial(read_created, user_id="alice", device_id="d-1"), CREATED.decode()),
    "configuration": (read_configuration, write_configuration(CONFIGURATION).decode()),
    "prolong": (read_prolonged, write_prolonged("i-1", NOW).decode()),
    "initiate call": (read_placement, write_placement(Placement("c-1", bytes(16), "s-2", PEERS), NOW, {"a": "b"}).decode()),
    "ICE servers": (read_ice_servers, write_ice_servers((OfferedIceServer(("turn:t.example",), "u", "p", NOW),)).decode()),
    "transport": (
        read_transport,
        write_transport(Transport("t-1", bytes(16), (TransportParticipant("t-2", Recipient("bob"), PEERS),))).decode(),
    ),
    "time (legacy)": (papi_registration.read_timestamp, '{"timestamp":"2026-11-20T23:04:28.412Z"}'),
    "time (legacy, a number)": (papi_registration.read_timestamp, '{"timestamp":1790000000000}'),
    "instance (legacy)": (papi_registration.read_instance, json.dumps({"id": "i-1", "secret": KEY_TEXT})),
    "configuration (legacy)": (
        partial(papi_registration.read_configuration, secure=True),
        json.dumps(
            {
                "rtcConfiguration": {"broadcastNetwork": NETWORK, "signalNetwork": NETWORK},
                "rtcProfile": {"broadcastChannel": "b", "signalChannel": "s", "transportChannel": "t", "key": KEY_TEXT},
            }
        ),
    ),
    "calls (legacy)": (
        partial(papi_calls.read_placement, call_id="c-1"),
        json.dumps({"EncryptionKey": KEY_TEXT, "SignalChannel": "s", "Instances": [{"instanceId": "i", "capabilities": ["p2p"]}]}),
    ),
    "a login": (read_ticket, '{"authorization":"dGlja2V0:c2ln"}'),
    "a verification": (lambda body: VerificationNews.read(Record.parse(body)), '{"status":"PENDING","reason":"r"}'),
}

PARSERS: Final = (
    Parser("transport feedback", lambda data: [list(one.by_number) for one in decode_feedbacks(data)], (feedback(),)),
    Parser("transport-wide numbers", lambda data: packet_number(data or RTP, 5), (number_packet(RTP, 5, 1000),)),
    Parser(
        "feedback about pictures",
        lambda data: list(decode_picture_feedback(data)),
        (
            encode_pli(1, 2, "a"),
            b"\x84\xce\x00\x04" + bytes(8) + b"\0\0\0\x02\x05\0\0\0",
            b"\x8f\xce\x00\x05" + bytes(8) + b"REMB\x01\x0b\xff\xff\0\0\0\x02",
        ),
    ),
    Parser("pictures in VP8", read_vp8, tuple(cut_vp8(bytes(range(200)), 300, 90))),
    Parser("pictures in H.264", read_h264, (*cut_h264(b"\0\0\0\1\x65" + b"\x88" * 200, 90), b"\x78\0\2\x67\1\0\3\x68\1\2")),
    Parser("STUN", seam.parse_message, stun_messages(), MALFORMED),
    Parser("TURN over a stream", read_turn, (b"".join(stun_messages()), b"\x40\0\0\x05hello\0\0\0" + stun_messages()[2])),
    Parser("mDNS", read_mdns, mdns_answers()),
    Parser("rtpengine's answers", as_bytes(ng._read), ('{"result":"ok","sdp":"v=0"}',), (MediaError,)),
    Parser("SIP over a stream", as_bytes(read_stream), (STREAM,), (RemoteProtocolError,)),
    Parser("challenges", challenged, (CHALLENGE,)),
    Parser("session intervals", refreshed, ("1800;refresher=uac",)),
    Parser("Replaces", parse_replaces, ("a@b;to-tag=1;from-tag=2;early-only",), (RemoteProtocolError,)),
    Parser("flow tokens", partial(open_token, secret=SECRET), (seal(FLOW, SECRET),)),
    Parser(
        "digits in INFO", as_bytes(partial(read_digit, "application/dtmf-relay")), ("Signal=5\r\nDuration=160\r\n",), (RemoteProtocolError,)
    ),
    Parser("what Opus takes", OpusWishes.read, ("minptime=10;useinbandfec=1; maxaveragebitrate=20000;usedtx=1",)),
    Parser("tokens, unverified", auth.read_token_claims, (TOKEN,), (AuthenticationError,)),
    Parser(
        "tokens",
        partial(auth.verify_registration_token, application_key=APPLICATION, secret=SECRET, now=NOW),
        (TOKEN,),
        (AuthenticationError,),
    ),
    Parser("claims of signed tokens", read_signed_claims, (json.dumps(CLAIMS),), (AuthenticationError,)),
    Parser(
        "tickets",
        partial(auth.verify_user_ticket, application_key=APPLICATION, secret=SECRET, now=NOW),
        (TICKET_TEXT,),
        (AuthenticationError,),
    ),
    Parser("fields of signed tickets", read_signed_ticket, (json.dumps(TICKET),), (AuthenticationError,)),
    Parser("authorization of instances", read_authorization, ("Instance i-1:c2ln", "Bearer abc")),
    Parser(
        "VAPID", lambda text: read_vapid(text, ENDPOINT, NOW), (write_vapid(SENDER, ENDPOINT, "mailto:a@b.c", NOW),), (RemoteProtocolError,)
    ),
    Parser(
        "claims of signed VAPID",
        read_signed_vapid,
        (json.dumps({"aud": "https://push.example", "exp": int(NOW) + 600, "sub": "mailto:a@b.c"}),),
        (RemoteProtocolError,),
    ),
    Parser(
        "encrypted pushes",
        lambda data: decrypt_push(data, KEYS),
        (encrypt_push(b"hello", PushSubscription(ENDPOINT, RECEIVER.public_bytes, KEYS.auth), sender=SENDER, salt=bytes(16)),),
        (RemoteProtocolError,),
    ),
    Parser("contents of pushes", as_bytes(read_content), (write_content(CALL).decode(), write_payload(CALL)), (RemoteProtocolError,)),
    Parser("contents of pushes, as apps have them", read_push_object, (write_content(CALL).decode(),), (RemoteProtocolError,)),
    Parser("subscribe answers", as_bytes(read_subscribe_answer), (SUBSCRIBED,), (RemoteProtocolError,)),
    Parser("subscribe answers passed over", as_bytes(skip_past), (SUBSCRIBED,)),
    Parser("publish answers", as_bytes(read_publish_answer), ('[1,"Sent","17000000000000000"]',), (RemoteProtocolError,)),
    Parser("time answers", as_bytes(read_time_answer), ("[17000000000000000]",), (RemoteProtocolError,)),
    Parser("the broker's refusals", as_bytes(read_refusal), ('[0,"no","17000000000000000"]', '{"message":"no"}')),
    Parser("the platform's refusals", as_bytes(read_error), ('{"code":40301,"message":"no","reference":"r"}',)),
    *(Parser(f"answers to {name}", as_bytes(read), (sample,), (RemoteProtocolError,)) for name, (read, sample) in CLOUD_ANSWERS.items()),
    Parser("times", read_time, ("2026-11-20T23:04:28.412Z", "2026-11-20T23:04:28+05:30"), (RemoteProtocolError,)),
    Parser("public headers", lambda text: public_headers.decode_public_headers({public_headers.HEADER: text}), ('{"a":"b","c":"d"}',)),
    Parser("clients", decode_client, (CLIENT,), (RemoteProtocolError,)),
    Parser("failures", decode_failure, (FAILURE,)),
    Parser("transfers", decode_transfer, (encode_transfer(TransferWish("bob", "")), '{"name":"Transferred","status":200,"reason":"OK"}')),
    Parser("events of rooms", decode_room_event, (ROSTER, '{"name":"Muted","muted":true}')),
    Parser("commands of streams", read_command, ('{"command":"answer"}',)),
)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_whatever_is_made_of_a_valid_input_is_read_or_refused(parser: Parser) -> None:
    for sample in parser.samples:
        parser.read(sample)
    until = time.monotonic() + SECONDS / 10  # a long run, too, ends within some minutes
    for seed in count():
        random = Random(seed)
        for _ in range(INPUTS):
            sample = random.choice(parser.samples)
            given = edited_text(random, sample) if isinstance(sample, str) else edited_bytes(random, sample)
            try:
                parser.read(given)
            except parser.refusals:
                pass
            except Exception as error:
                raise AssertionError(f"{parser.name}, seed {seed}: {type(error).__name__} for {given[:2000]!r}") from error
        if time.monotonic() >= until:
            return
