"""The legacy dialect: its bodies against what the official client 1.4.12 was recorded sending, and its behaviour against a double."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sinchphone.errors import AuthenticationError, ForbiddenError, NetworkError, NotFoundError, PlatformError, RemoteProtocolError
from sinchphone.protocol.auth import decode_secret, sign_user_ticket, verify_request, verify_user_ticket
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.signaling.dialect import CallReport, CallRequest, Domain, IdentityKind, MessageCounts, Recipient, RemoteInstance
from sinchphone.signaling.papi.calls import read_placement, write_call_report, write_call_request, write_push_payload
from sinchphone.signaling.papi.dialect import PapiDialect
from sinchphone.signaling.papi.names import OPERATIONS, PapiOperation
from sinchphone.signaling.papi.registration import read_configuration, read_instance, read_timestamp
from sinchphone.signaling.rest.instances import MemoryInstanceStore
from sinchphone.signaling.rest.software import Software
from sinchphone.signaling.rest.transports import read_recipients, read_transport, write_message_counts, write_recipients
from sinchphone.signaling.wire import read_time, write_time

VECTORS = Path(__file__).parents[1] / "vectors"
SECRET = b"application secret"
KEY = "app-1"
OFFER = Description("offer", "v=0\r\n")


def recorded(path: str, method: str) -> list[dict[str, Any]]:
    """The recorded requests of a kind, with their answers."""
    lines = [line for file in sorted(VECTORS.glob("*.jsonl")) for line in file.read_text().splitlines()]
    rest = [record for record in map(json.loads, lines) if record["kind"] == "rest"]
    found = [record for record in rest if record["req"]["method"] == method and record["req"]["url"].startswith(path)]
    assert found
    return found


# Bodies


def test_every_recorded_configuration_is_read() -> None:
    for record in recorded("/v1/configuration/user", "GET"):
        answer = json.loads(record["res"]["body"])
        configuration = read_configuration(record["res"]["body"].encode(), secure=True)
        assert configuration.pubsub.origin == answer["rtcConfiguration"]["broadcastNetwork"]["host"]
        assert configuration.pubsub.secure and configuration.pubsub.signal_origin is None
        assert configuration.pubsub.broadcast_publish_key == answer["rtcConfiguration"]["broadcastNetwork"]["publishKey"]
        assert configuration.profile.transport_channel == answer["rtcProfile"]["transportChannel"]


def test_networks_on_two_hosts_and_without_tls_are_understood() -> None:
    body = json.loads(recorded("/v1/configuration/user", "GET")[0]["res"]["body"])
    networks = body["rtcConfiguration"]
    networks["signalNetwork"]["host"] = "signal.example"
    pubsub = read_configuration(json.dumps(body).encode(), secure=True).pubsub
    assert (pubsub.origin, pubsub.signal_origin, pubsub.secure) == ("127.0.0.1:8443", "signal.example", True)
    for network in networks.values():
        network["plainHost"] = "127.0.0.1:4600"
    plain = read_configuration(json.dumps(body).encode(), secure=False).pubsub
    assert (plain.origin, plain.signal_origin, plain.secure) == ("127.0.0.1:4600", None, False)
    assert read_configuration(json.dumps(body).encode(), secure=True).pubsub.secure, "who came over TLS stays there"


def test_every_recorded_transport_is_read_and_its_request_written_alike() -> None:
    for record in recorded("/v1/transport", "POST"):
        recipients = read_recipients(record["req"]["body"].encode())
        assert write_recipients(recipients).decode() == record["req"]["body"]
        transport = read_transport(record["res"]["body"].encode())
        assert tuple(one.recipient for one in transport.participants) == recipients
        assert all("im" in one.instances[0].capabilities for one in transport.participants)


def test_recipients_by_e_mail_and_number_are_marked() -> None:
    names = (Recipient("a@b.example", IdentityKind.EMAIL), Recipient("+46700000001", IdentityKind.NUMBER), Recipient("bob"))
    body = write_recipients(names)
    assert json.loads(body)[0] == {"type": "email", "identity": "a@b.example"}
    assert read_recipients(body) == names


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"[1]", b'[{"identity":""}]', b'[{"identity":"a","type":"fax"}]', b"[" * 9999])
def test_recipients_that_make_no_sense_are_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_recipients(body)


def test_a_call_request_has_what_the_official_clients_has() -> None:
    [record] = recorded("/v1/calls/data", "POST")[:1]
    theirs = json.loads(record["req"]["body"])
    request = CallRequest(theirs["callId"], Domain.MXP, theirs["destination"]["endpoint"], Description("offer", theirs["sdp"]["sdp"]))
    assert json.loads(write_call_request(request, str(theirs["subinstanceId"]))) == theirs
    with_headers = CallRequest("c", Domain.PSTN, "+46700000001", OFFER, "+1", {"k": "v"})
    ours = json.loads(write_call_request(with_headers, "5"))
    assert (ours["destination"], ours["domain"], ours["cli"]) == ({"type": "number", "endpoint": "+46700000001"}, "pstn", "+1")
    assert ours["headers"] == {"p2p": "yes", "ph": '{"k":"v"}'}


def test_a_placement_is_read_in_either_spelling() -> None:
    [record] = recorded("/v1/calls/data", "POST")[:1]
    answer = json.loads(record["res"]["body"])
    placement = read_placement(json.dumps(answer).encode(), "c")
    assert placement.session_key == decode_secret(answer["encryptionKey"])
    assert [instance.id for instance in placement.instances] == [answer["instances"][0]["instanceId"]]
    capitals = {name[0].upper() + name[1:]: value for name, value in answer.items()}
    assert read_placement(json.dumps(capitals).encode(), "c") == placement
    del capitals["SignalChannel"]
    assert read_placement(json.dumps(capitals).encode(), "c").signal_channel == ""


def test_a_call_report_has_the_members_of_the_official_clients() -> None:
    [record] = recorded("/v1/calls/data/id/", "PUT")[:1]
    theirs = json.loads(record["req"]["body"])
    report = CallReport("c", False, "alice", Domain.MXP, "hung_up", 100.0, 101.0, 102.0, 102.5, 110.0)
    ours = json.loads(write_call_report(report, "bob", Software("1", "js", "Linux")))
    assert ours.keys() == theirs.keys() and ours["deviceInformation"].keys() == theirs["deviceInformation"].keys()
    assert (ours["fromId"], ours["toId"], ours["result"], ours["duration"], ours["setupDuration"]) == ("alice", "bob", 5, 7.5, 2.5)


@pytest.mark.parametrize("sample", json.loads((VECTORS / "vectors.json").read_text())["push"])
def test_a_push_payload_is_the_official_clients_to_the_byte(sample: dict[str, Any]) -> None:
    assert write_push_payload(sample["sessionId"], sample["userId"], sample["createdSeconds"]) == sample["sinch"]


def test_a_long_push_payload_has_lines_of_64_characters() -> None:
    payload = write_push_payload("1fa6ad49-549d-4ae3-9f71-11fd82dbebbb", "x" * 200, 1.0)
    assert max(map(len, payload.split("\n"))) == 64
    raw = base64.b64decode(payload.replace("\n", ""))
    assert raw[23] == 127 and raw[24:] == b"x" * 127


def test_the_time_is_read_in_both_forms() -> None:
    assert read_timestamp(b'{"timestamp": "2026-11-20T23:36:45.588Z"}') == read_timestamp(b'{"timestamp": 1795217805588}')
    with pytest.raises(RemoteProtocolError):
        read_timestamp(b'{"timestamp": "soon"}')


def test_an_instance_id_with_a_colon_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        read_instance(b'{"id": "a:b", "secret": "AAAA"}')


def test_paths_keep_plus_and_at() -> None:
    path = OPERATIONS[PapiOperation.AUTHENTICATE_NUMBER].path(identity="+46700000001")
    assert path == "/v1/users/number/+46700000001/authentication"
    assert OPERATIONS[PapiOperation.AUTHENTICATE_USERNAME].path(identity="a/b c") == "/v1/users/username/a%2Fb%20c/authentication"


# Behaviour


class PapiDouble:
    """A PAPI platform that verifies every ticket and signature."""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {}
        self.seen: list[str] = []
        self.bodies: dict[str, Any] = {}
        self.clock_ahead_s = 0.0
        self.refuse: dict[str, web.Response] = {}

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def now(self) -> float:
        return time.time() + self.clock_ahead_s

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        name = f"{request.method} {request.path}"
        self.seen.append(name)
        self.bodies[name] = json.loads(body) if body else None
        if name in self.refuse:
            return self.refuse.pop(name)
        return self._verified(request, body) or self._answer(request)

    def _verified(self, request: web.Request, body: bytes) -> web.Response | None:
        scheme, _, proof = request.headers["Authorization"].partition(" ")
        stamp = request.headers["x-timestamp"]
        if scheme.lower() == "application":
            return None
        if scheme.lower() == "user":
            verify_user_ticket(proof, application_key=KEY, secret=SECRET, now=self.now)
            return None
        identifier, _, signature = proof.rpartition(":")
        path, kind = request.raw_path.split("?")[0], request.headers["Content-Type"]
        secret = self.secrets.get(identifier)
        if secret is None or not verify_request(request.method, path, body or None, kind, stamp, secret, signature):
            return refusal(401, 40100, "wrong signature")
        return None if abs(read_time(stamp) - self.now) < 5 else refusal(401, 40101, "too old")

    def _answer(self, request: web.Request) -> web.Response:
        match request.method, request.path:
            case "GET", "/v1/timestamp/":
                return web.json_response({"timestamp": write_time(self.now)})
            case ("POST", "/v1/instance") | ("PUT", _) if "calls" not in request.path:
                return self._instance(request)
            case "GET", "/v1/configuration/user":
                return web.Response(text=recorded("/v1/configuration/user", "GET")[0]["res"]["body"], content_type="application/json")
            case "POST", "/v1/calls/data":
                return web.Response(text=recorded("/v1/calls/data", "POST")[0]["res"]["body"], content_type="application/json")
            case _, "/v1/transport":
                return web.Response(text=recorded("/v1/transport", "POST")[0]["res"]["body"], content_type="application/json")
        return web.json_response({})

    def _instance(self, request: web.Request) -> web.Response:
        known = request.path.split("/")[-2] if request.method == "PUT" else None
        if known is not None and known not in self.secrets:
            return refusal(404, 40400, "no such instance")
        identifier = known or f"i-{len(self.secrets) + 1}"
        self.secrets[identifier] = b"secret %d" % len(self.seen)
        return web.json_response({"id": identifier, "secret": base64.b64encode(self.secrets[identifier]).decode()}, status=201)


def refusal(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"errorCode": code, "message": message}, status=status)


@pytest.fixture
async def papi() -> Any:
    double = PapiDouble()
    await double.start()
    yield double
    await double.stop()


@pytest.fixture
def speak(papi: PapiDouble, session: Any, store: MemoryInstanceStore) -> Any:
    def make(user: str = "alice", **options: Any) -> PapiDialect:
        async def ticket() -> str:
            return sign_user_ticket(KEY, SECRET, user, created_at=papi.now)

        return PapiDialect(session, papi.base_url, KEY, user, ticket=ticket, store=store, **options)

    return make


async def test_a_new_device_gets_an_instance_and_its_configuration(speak: Any, papi: PapiDouble) -> None:
    registration = await speak().register()
    assert papi.seen == ["GET /v1/timestamp/", "POST /v1/instance", "GET /v1/configuration/user"]
    assert papi.bodies["POST /v1/instance"]["services"] == {"calling": ["online", "im", "voip", "p2p", "srtp"]}
    assert registration.address == f"i-1:{registration.sub_instance}" and registration.sub_instance.isdecimal()
    assert registration.profile.transport_channel


async def test_a_device_that_takes_no_calls_keeps_no_active_connection(speak: Any, papi: PapiDouble) -> None:
    await speak(takes_calls=False).register()
    assert papi.bodies["POST /v1/instance"]["services"] == {"calling": ["im", "voip", "p2p", "srtp"]}


async def test_a_known_instance_is_resumed_without_a_ticket(speak: Any, papi: PapiDouble) -> None:
    first = speak()
    await first.register()
    await first.close()
    papi.seen.clear()
    again = await speak().register()
    assert again.instance.id == "i-1"
    assert papi.seen == ["GET /v1/timestamp/", "GET /v1/configuration/user"]


async def test_an_instance_whose_secret_is_refused_gets_a_new_one(speak: Any, papi: PapiDouble) -> None:
    dialect = speak()
    await dialect.register()
    papi.secrets["i-1"] = b"another"
    again = await dialect.confirm()
    assert again.instance.id == "i-1"
    assert papi.seen[-2:] == ["PUT /v1/instances/id/i-1/authorization", "GET /v1/configuration/user"]
    assert papi.bodies["PUT /v1/instances/id/i-1/authorization"]["instanceId"] == "i-1"


async def test_an_instance_that_the_platform_has_forgotten_is_registered_anew(speak: Any, papi: PapiDouble) -> None:
    dialect = speak()
    await dialect.register()
    papi.secrets = {"i-7": b"of somebody else"}
    assert (await dialect.confirm()).instance.id == "i-2"
    assert "PUT /v1/instances/id/i-1/authorization" in papi.seen


@pytest.mark.parametrize("error", [AuthenticationError("the ticket has expired"), NetworkError("no backend"), PlatformError("no time")])
async def test_an_instance_that_is_due_works_on_while_no_ticket_is_to_be_had(speak: Any, papi: PapiDouble, error: Exception) -> None:
    """A client whose ticket had expired in mid-call was ended by it, half a year before its instance was over."""
    dialect = speak()
    await dialect.register()

    async def no_ticket() -> str:
        raise error

    papi.clock_ahead_s = 200 * 86_400.0
    dialect._wire._offset_s = papi.clock_ahead_s
    dialect._ticket = no_ticket
    assert (await dialect.confirm()).instance.id == "i-1"
    assert papi.seen[-1] == "GET /v1/configuration/user"


async def test_a_clock_that_is_an_hour_off_does_no_harm(speak: Any, papi: PapiDouble) -> None:
    papi.clock_ahead_s = 3600.0
    assert (await speak().register()).instance.id == "i-1"


async def test_a_platform_that_tells_no_time_is_used_all_the_same(speak: Any, papi: PapiDouble) -> None:
    papi.refuse["GET /v1/timestamp/"] = refusal(500, 50000, "no clock")
    assert (await speak().register()).instance.id == "i-1"


async def test_calls_messages_and_reports_are_signed(speak: Any, papi: PapiDouble) -> None:
    dialect = speak()
    registration = await dialect.register()
    call_id = dialect.new_call_id()
    placement = await dialect.place_call(CallRequest(call_id, Domain.MXP, "bob", OFFER))
    assert placement.call_id == call_id and len(call_id) == 36
    assert papi.bodies["POST /v1/calls/data"]["subinstanceId"] == int(registration.sub_instance)
    transport = await dialect.open_transport([Recipient("bob")])
    assert (await dialect.transport(transport.id)).id == transport.id
    await dialect.report_messages(MessageCounts(1, 2, 3))
    assert papi.bodies["POST /v1/report/im"] == json.loads(write_message_counts(MessageCounts(1, 2, 3)))
    await dialect.report_call(CallReport(call_id, True, "bob", Domain.MXP, "canceled", 1.0, None, None, None, 2.0))
    assert papi.bodies[f"PUT /v1/calls/data/id/{call_id}"]["result"] == 6
    await dialect.send_push(call_id, (RemoteInstance("i-2", ("push",)), RemoteInstance("i-3", ("im",))), "Alice")
    assert papi.bodies["POST /v1/push"]["messages"][0]["to"] == [{"instance": "i-2"}]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (403, ForbiddenError), (404, NotFoundError), (500, PlatformError), (422, PlatformError)],
)
async def test_refusals_are_told_apart(speak: Any, papi: PapiDouble, status: int, kind: type[Exception]) -> None:
    dialect = speak()
    await dialect.register()
    papi.refuse["POST /v1/transport"] = refusal(status, 40000, "because of that")
    with pytest.raises(kind, match="because of that"):
        await dialect.open_transport([Recipient("bob")])


async def test_a_refused_ticket_says_so(speak: Any, papi: PapiDouble) -> None:
    papi.refuse["POST /v1/instance"] = refusal(401, 40108, "ticket expired")
    with pytest.raises(AuthenticationError, match="ticket expired"):
        await speak().register()
