"""What the OpenAPI document says of each route beyond its path: what it does, its body, who may ask. A route that isn't here is in the
document all the same, with its path alone."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

from sinchphone.protocol.phone_numbers import E164
from sinchphone.quick_dataclass import quick_dataclass

Schema: TypeAlias = Mapping[str, Any]


class AskedBy(Enum):
    """Who may ask, as security schemes."""

    BASIC = "applicationBasic"
    APPLICATION = "applicationSignature"
    INSTANCE = "instanceSignature"
    TOKEN = "registrationToken"  # noqa: S105 - a name
    TICKET = "userTicket"
    MANAGEMENT = "managementToken"


@quick_dataclass(frozen=True, slots=True)
class Operation:
    """What is said of a route. ``asked_by``: where it isn't who asks all of its API."""

    summary: str = ""
    body: Schema | None = None
    query: tuple[str, ...] = ()
    status: int = 200
    asked_by: tuple[AskedBy, ...] | None = None


_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "string", "pattern": f"^{E164}$", "examples": ["+46700000001"]}
_FLAG: Final[Schema] = {"type": "boolean"}
_MAP: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(required: str = "", **members: Schema) -> Schema:
    """An object; the names of those that must be there, in a text."""
    described: dict[str, Any] = {"type": "object", "properties": dict(members)}
    return described | ({"required": required.split()} if required else {})


def _list_of(one: Schema) -> Schema:
    return {"type": "array", "items": one}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_ENDPOINT: Final = _object("type endpoint", type=_TEXT, endpoint=_TEXT)
SCHEMAS: Final[Mapping[str, Schema]] = {
    "Svaml": _object(instructions=_list_of({"type": "object"}), action=_object("name", name=_TEXT)),
    "Sdp": _object("type sdp", type={"enum": ["offer"]}, sdp=_TEXT),
    "Fault": _object(
        "path",
        path={"type": "string", "pattern": r"^[/*]", "examples": ["/publish/*"]},
        method={"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
        status={"type": "integer", "minimum": 200, "maximum": 599},
        delayMs={"type": "integer", "minimum": 0, "maximum": 60_000},
        drop=_FLAG,
        times={"type": "integer", "minimum": 1, "maximum": 1_000_000},
        body={"type": ["object", "array"]},
    ),
    "Callout": _object(
        "method",
        method={"enum": ["ttsCallout", "conferenceCallout", "customCallout"]},
        ttsCallout=_object("destination text", destination=_ENDPOINT, text=_TEXT, cli=_NUMBER, locale=_TEXT),
        conferenceCallout=_object("destination conferenceId", destination=_ENDPOINT, conferenceId=_TEXT, cli=_NUMBER),
        customCallout=_object(ice=_TEXT, ace=_TEXT, pie=_TEXT),
    ),
}
_USER_NAME: Final = _list_of(_object("type endpoint", type={"enum": ["username", "email", "number"]}, endpoint=_TEXT))
_LOGIN: Final = Operation("Log in: a ticket.", _object("password", password=_TEXT))
_RECIPIENTS: Final = _list_of(_object("identity", identity=_TEXT, type={"enum": ["username", "email", "number"]}))
_INSTANCE: Final = _object(capabilities=_list_of(_TEXT), expiresIn={"type": "number"})
_NUMBERS: Final = _object("numbers", numbers=_list_of(_NUMBER), applicationkey=_TEXT, capability={"enum": ["voice", "sms"]})
_CALLBACKS: Final = _object("url", url=_object(primary=_TEXT, fallback=_TEXT))
_HANDED_OUT: Final = _object("method", method={"enum": ["sms", "flashcall", "callout"]}, code=_TEXT, sms=_object(code=_TEXT))

_OCRA: Final = "/ocra/v1/users/{user}/instances/{instance}"
_TOKEN: Final = (AskedBy.TOKEN,)
_TICKET: Final = (AskedBy.TICKET,)
DESCRIPTIONS: Final[Mapping[str, Operation]] = {
    "GET /": Operation(
        "What this is; for who names an application and a challenge, that it's served here.", query=("application", "challenge")
    ),
    "GET /health": Operation("Whether it listens everywhere."),
    "GET /ready": Operation("Whether it listens everywhere."),
    "GET /openapi.json": Operation("This document."),
    # Ocra
    "POST /ocra/v1/instances": Operation(
        "Register a device.", _object("userId deviceId", userId=_TEXT, deviceId=_TEXT, capabilities=_list_of(_TEXT)), asked_by=_TOKEN
    ),
    f"PATCH {_OCRA}": Operation("Change a device's capabilities.", _INSTANCE),
    f"PUT {_OCRA}/ttl": Operation("Prolong a registration.", _INSTANCE, asked_by=_TOKEN),
    f"GET {_OCRA}/config": Operation("A device's configuration."),
    f"POST {_OCRA}/calls": Operation(
        "Place a call.",
        _object(
            "callId destination sdp",
            callId=_TEXT,
            destination=_object("domain identity", domain={"enum": ["mxp", "pstn", "sip", "conference"]}, type=_TEXT, identity=_TEXT),
            sdp=_ref("Sdp"),
            cli=_TEXT,
        ),
    ),
    f"GET {_OCRA}/iceServers": Operation("STUN and TURN servers for a call."),
    f"PUT {_OCRA}/pushProfile": Operation("Have a device woken by pushes.", {"type": "object"}),
    f"DELETE {_OCRA}/pushProfile": Operation("Have it woken no more."),
    f"POST {_OCRA}/pushNotifications": Operation("Wake the called user's devices.", {"type": "object"}),
    f"GET {_OCRA}/features": Operation("What the platform can."),
    f"POST {_OCRA}/callReports": Operation("Report a call that is over.", {"type": "object"}),
    # PAPI
    "POST /v1/users": Operation(
        "Make a user with a password.", _object("identities password", identities=_USER_NAME, password=_TEXT), asked_by=_TICKET
    ),
    **{f"POST /v1/users/{kind}/{{identity}}/authentication": _LOGIN for kind in ("username", "email", "number")},
    "PUT /v1/user/password": Operation("Change the password.", _object("newPassword", oldPassword=_TEXT, newPassword=_TEXT)),
    "PATCH /v1/user/profile": Operation("Change the profile.", {"type": "object"}),
    "POST /v1/calls/{domain}": Operation(
        "Place a call.", _object("callId destination sdp", callId=_TEXT, destination=_ENDPOINT, sdp=_ref("Sdp"), headers=_MAP, cli=_TEXT)
    ),
    "PUT /v1/calls/{domain}/id/{call}": Operation("Report a call that is over.", {"type": "object"}),
    "GET /v1/configuration/user": Operation("A device's configuration."),
    "GET /v1/instances/id/": Operation("The user's devices."),
    "GET /v1/user/profile": Operation("The profile."),
    "POST /v1/push/messages": Operation("Push about messages: not there.", {"type": "object"}),
    "POST /v1/transport": Operation("Find the recipients of messages, and their key.", _RECIPIENTS),
    "GET /v1/transport": Operation("The key of a message that came.", query=("transportId",)),
    "POST /v1/report/im": Operation("Report messages that came.", {"type": "object"}),
    "POST /v1/push": Operation("Wake the called user's devices.", _list_of({"type": "object"})),
    "GET /v1/timestamp/": Operation("What time it is.", asked_by=_TICKET),
    "POST /v1/instance": Operation("Register a device.", _INSTANCE, asked_by=_TICKET),
    "PUT /v1/instances/id/{instance}/authorization": Operation("Give a device another secret.", _INSTANCE, asked_by=_TICKET),
    # Voice
    "POST /calling/v1/callouts": Operation("Call a number or a user.", _ref("Callout")),
    "GET /calling/v1/calls/id/{call}": Operation("A call."),
    "PATCH /calling/v1/calls/id/{call}": Operation("Steer a call.", _ref("Svaml")),
    "PATCH /calling/v1/calls/id/{call}/leg/{leg}": Operation("Steer one leg of a call.", _ref("Svaml")),
    "GET /calling/v1/recording": Operation("The recordings of the application's calls."),
    "GET /calling/v1/recording/{key}": Operation("A recording's sound."),
    "DELETE /calling/v1/recording/{key}": Operation("Delete a recording."),
    "GET /calling/v1/conferences/id/{conference}": Operation("Who is in a conference."),
    "DELETE /calling/v1/conferences/id/{conference}": Operation("Send everybody home."),
    "PATCH /calling/v1/conferences/id/{conference}/{call}": Operation(
        "Mute, hold or resume a participant.", _object("command", command={"enum": ["mute", "unmute", "onhold", "resume"]}, moh=_TEXT)
    ),
    "DELETE /calling/v1/conferences/id/{conference}/{call}": Operation("Send a participant home."),
    **{f"GET {root}/configuration/numbers": Operation("The numbers of the application.") for root in ("/v1", "/calling/v1")},
    **{f"POST {root}/configuration/numbers": Operation("Assign numbers.", _NUMBERS) for root in ("/v1", "/calling/v1")},
    **{f"DELETE {root}/configuration/numbers": Operation("Take a number back.", _NUMBERS) for root in ("/v1", "/calling/v1")},
    **{
        f"POST {root}/configuration/callbacks/applications/{{application}}": Operation("Where the backend is.", _CALLBACKS)
        for root in ("/v1", "/calling/v1")
    },
    **{
        f"GET {root}/query/number/{{number}}": Operation("What a number is.")
        for root in ("/calling/v1", "/v1/calling", "/calling/v1/calling")
    },
    **{
        f"GET {root}/configuration/callbacks/applications/{{application}}": Operation("Where the backend is.")
        for root in ("/v1", "/calling/v1")
    },
    # Pub/sub
    "GET /publish/{rest}": Operation("Publish a frame (PubNub)."),
    "POST /publish/{rest}": Operation("Publish a frame (PubNub)."),
    "GET /subscribe/{rest}": Operation("Wait for frames (PubNub 3.x)."),
    "GET /v2/subscribe/{rest}": Operation("Wait for frames (PubNub, v2).", query=("tt", "uuid")),
    "GET /v2/presence/{prefix}/{rest}": Operation("Leave channels, or stay (PubNub)."),
    "GET /time/0": Operation("The present time token (PubNub)."),
    "GET /push": Operation("The push service's WebSocket (autopush)."),
    "POST /push/v2/{token}": Operation("Push to a device (W3C, RFC 8030)."),
    "DELETE /push/m/{message}": Operation("Acknowledge a push."),
    # Verification
    "POST /verification/v1/verifications": Operation(
        "Verify a number.",
        _object(
            "identity method",
            identity=_object("type endpoint", type={"enum": ["number"]}, endpoint=_NUMBER),
            method={"enum": ["sms", "flashcall", "callout"]},
            reference=_TEXT,
            custom=_TEXT,
        ),
    ),
    "PUT /verification/v1/verifications/id/{id}": Operation("Report a code.", _HANDED_OUT),
    "PUT /verification/v1/verifications/number/{number}": Operation("Report a code.", _HANDED_OUT),
    "GET /verification/v1/verifications/id/{id}": Operation("What became of a verification."),
    "GET /verification/v1/verifications/reference/{reference}": Operation("What became of a verification."),
    "GET /verification/v1/verifications/{method}/number/{number}": Operation("What became of a verification."),
    # SMS
    "POST /xms/v1/{plan}/batches": Operation(
        "Send a text, which the exchange keeps.",
        {
            "type": "object",
            "required": ["to", "body"],
            "properties": {
                "to": _list_of(_TEXT),
                "from": _TEXT,
                "body": _TEXT,
                "type": {"enum": ["mt_text"]},
                "parameters": {"type": "object"},
            },
        },
        status=201,
    ),
    "GET /xms/v1/{plan}/batches/{batch}": Operation("A batch of texts."),
    "GET /xms/v1/{plan}/batches/{batch}/delivery_report": Operation("What became of it."),
    "GET /xms/v1/{plan}/batches/{batch}/delivery_report/{number}": Operation("What became of it at one number."),
    # Ours
    "GET /__sinchphone/sms": Operation("The texts that came.", query=("number",)),
    "DELETE /__sinchphone/sms": Operation("Forget them."),
    "GET /__sinchphone/users": Operation("Everybody who is known."),
    "POST /__sinchphone/users": Operation(
        "Make a user.", _object(userId=_TEXT, email={"type": "string", "format": "email"}, number=_NUMBER, password=_TEXT), status=201
    ),
    "DELETE /__sinchphone/users/{user}": Operation("Forget a user."),
    "GET /__sinchphone/faults": Operation("The faults in force."),
    "POST /__sinchphone/faults": Operation("Have requests fail.", _ref("Fault"), status=201),
    "DELETE /__sinchphone/faults": Operation("End all faults."),
    "DELETE /__sinchphone/faults/{fault}": Operation("End a fault."),
    "GET /__sinchphone/": Operation("The inspector's page."),
    "GET /__sinchphone/page/{file}": Operation("A module of the page."),
    "GET /__sinchphone/rooms": Operation("Conference rooms, and who is in them."),
    "GET /__sinchphone/recordings": Operation("Recordings of calls."),
    "GET /__sinchphone/recordings/{key}": Operation("A recording's sound."),
    "DELETE /__sinchphone/recordings/{key}": Operation("Forget a recording."),
    "GET /__sinchphone/trace/calls": Operation("The calls in the record."),
    "GET /__sinchphone/trace/calls/{call}": Operation("What was said in a call."),
    "GET /__sinchphone/trace/calls/{call}/capture": Operation("The same as a capture file (pcapng)."),
    "GET /__sinchphone/trace/others": Operation("What was said in no call."),
    "GET /__sinchphone/trace/live": Operation("What is said as it is said: server-sent events."),
    "POST /__sinchphone/reset": Operation("As if just started."),
    "POST /__sinchphone/calls": Operation(
        "Have a simulated phone call a number.", _object("to", to=_TEXT, **{"from": _NUMBER}, dtmf=_TEXT), status=201
    ),
    "GET /__sinchphone/calls/{call}": Operation("How far its call is."),
    "DELETE /__sinchphone/calls/{call}": Operation("Have it hang up."),
    "GET /exchange": Operation("The process that hosts."),
    "POST /exchange/stop": Operation("End it.", _object("id", id=_TEXT, unused=_FLAG, replaced=_FLAG, asker=_TEXT)),
}
_APPLICATION: Final = (AskedBy.BASIC, AskedBy.APPLICATION)
_APIS: Final[tuple[tuple[str, str, tuple[AskedBy, ...]], ...]] = (  # the first that fits: where paths begin, what that is, who may ask
    ("/ocra/v1", "ocra", (AskedBy.INSTANCE,)),
    ("/v1/configuration/numbers", "voice", _APPLICATION),
    ("/v1/configuration/callbacks", "voice", _APPLICATION),
    ("/v1/calling", "voice", _APPLICATION),
    ("/v1/users", "papi", (AskedBy.TICKET,)),
    ("/v1/", "papi", (AskedBy.INSTANCE,)),
    ("/calling/v1", "voice", _APPLICATION),
    ("/verification/v1", "verification", (*_APPLICATION, AskedBy.TICKET)),
    ("/xms/v1", "sms", (AskedBy.MANAGEMENT,)),
    ("/__sinchphone", "management", (*_APPLICATION, AskedBy.MANAGEMENT)),
    ("/exchange", "management", _APPLICATION),
    ("/push", "push", ()),
    ("/publish", "pubsub", ()),
    ("/subscribe", "pubsub", ()),
    ("/v2/", "pubsub", ()),
    ("/time", "pubsub", ()),
)


def tag_of(path: str) -> str:
    """Which API a path is of."""
    return next((tag for root, tag, _ in _APIS if path.startswith(root)), "exchange")


def asked_by(path: str, operation: Operation) -> tuple[AskedBy, ...]:
    """Who may ask there; nobody is named where anybody may."""
    if operation.asked_by is not None:
        return operation.asked_by
    return next((who for root, _, who in _APIS if path.startswith(root)), ())
