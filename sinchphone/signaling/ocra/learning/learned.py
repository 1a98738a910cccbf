"""Names of Ocra's REST operations and members that were learned from a client's package, and take the place of ours in ``names``.

::

    package --generated_code--> FoundApi --learn--> LearnedNames --write--> the state folder --read--> OcraRequests
"""

import gzip
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Final

from sinchphone.errors import ConfigError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import write_json
from sinchphone.signaling.ocra.learning.generated_code import FoundApi, FoundOperation
from sinchphone.signaling.ocra.names import OPERATIONS, Field, OcraOperation
from sinchphone.signaling.wire import Endpoint

FILE_NAME: Final = "ocra-names.json"
MAX_FILE_BYTES: Final = 256 * 1024
_VERBS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: what a path may be made of, as the generator names it -> as ours do
_PARAMETERS: Final = {"userId": "user", "instanceId": "instance", "user": "user", "instance": "instance"}
#: what an operation may be called there, the likeliest name first (the known models and methods of the client suggest them)
_CALLED: Final[Mapping[OcraOperation, tuple[str, ...]]] = {
    OcraOperation.CREATE_INSTANCE: ("createInstance", "registerInstance"),
    OcraOperation.UPDATE_INSTANCE: ("updateInstance", "patchInstance"),
    OcraOperation.PROLONG_INSTANCE: ("updateInstanceTtl", "prolongInstance"),
    OcraOperation.GET_CONFIG: ("getConfig", "getInstanceConfig", "getConfiguration"),
    OcraOperation.PLACE_CALL: ("initiateCall", "createCall", "placeCall"),
    OcraOperation.GET_ICE_SERVERS: ("getIceServers",),
    OcraOperation.SET_PUSH_PROFILE: ("setPushData", "updatePushData", "setInstancePushData", "setPushProfile"),
    OcraOperation.DELETE_PUSH_PROFILE: ("deletePushData", "removePushData", "deleteInstancePushData", "deletePushProfile"),
    OcraOperation.SEND_PUSH: ("sendPushNotification", "sendPushNotifications", "sendPush"),
    OcraOperation.GET_FEATURES: ("getFeatures", "getFeatureFlags"),
    OcraOperation.REPORT_CALL: ("submitCallReport", "createCallReport", "reportCall"),
}
#: members that are ours because nobody could see theirs: the model that has them, and what they may be called there
_MEMBERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    Field.CALL_ID: ("InitiateCallRequest", ("callId", "sessionId")),
    Field.DESTINATION: ("InitiateCallRequest", ("destination", "to")),
    Field.CALLER_ID: ("InitiateCallRequest", ("cli", "callerIdentifier", "callerId")),
    Field.MEDIA: ("InitiateCallRequest", ("media", "mediaTypes", "mediaStreams")),
    Field.SDP: ("InitiateCallRequest", ("sdp", "sessionDescription", "offer")),
    Field.HEADERS: ("InitiateCallRequest", ("publicCallHeaders", "callHeaders", "headers")),
    Field.BROADCAST_CHANNEL: ("RtcProfile", ("broadcastChannel", "mxpBroadcastChannel")),
    Field.SIGNAL_CHANNEL: ("RtcProfile", ("signalChannel", "mxpSignalChannel")),
    Field.KEY: ("RtcProfile", ("key", "mxpEncryptionKey", "encryptionKey", "mxpKey")),
    Field.HOSTNAME: ("MxpPubSubConfig", ("hostname", "host")),
    Field.BROADCAST_SUBSCRIBE_KEY: ("MxpPubSubConfig", ("broadcastSubscribeKey",)),
    Field.SIGNAL_SUBSCRIBE_KEY: ("MxpPubSubConfig", ("signalSubscribeKey",)),
    Field.SIGNAL_PUBLISH_KEY: ("MxpPubSubConfig", ("signalPublishKey",)),
    Field.RESULT: ("CallReport", ("result", "callResult")),
    Field.ERROR: ("CallReport", ("error", "clientError")),
}
_CARRIERS: Final = {  # operations whose bodies have those models, ours and the platform's
    "InitiateCallRequest": (OcraOperation.PLACE_CALL,),
    "CallReport": (OcraOperation.REPORT_CALL,),
    "RtcProfile": (OcraOperation.CREATE_INSTANCE, OcraOperation.GET_CONFIG),
    "MxpPubSubConfig": (OcraOperation.CREATE_INSTANCE, OcraOperation.GET_CONFIG),
}


_REQUESTS: Final = (OcraOperation.PLACE_CALL, OcraOperation.REPORT_CALL)  # whose members are those of the request
_DEPTH: Final = 6  # of the objects of an answer that have such members


@quick_dataclass(frozen=True, slots=True)
class LearnedNames:
    """``operations``: verb and path template. ``members``: by operation, ours -> theirs where they differ."""

    operations: Mapping[OcraOperation, tuple[str, str]] = field(default_factory=dict)
    members: Mapping[OcraOperation, Mapping[str, str]] = field(default_factory=dict)

    def endpoint(self, operation: OcraOperation) -> Endpoint:
        """Where an operation is: as learned, else as ours."""
        ours = OPERATIONS[operation]
        if operation not in self.operations:
            return ours
        verb, path = self.operations[operation]
        return replace(ours, root="", verb=verb, template=path)

    def outward(self, operation: OcraOperation, body: bytes, encoding: str = "") -> bytes:
        """A request's body, gzipped or plain, with their names."""
        names = self.members.get(operation, {})
        if operation not in _REQUESTS or not names:
            return body
        if encoding == "gzip":
            return gzip.compress(_renamed(gzip.decompress(body), names, depth=1))
        return _renamed(body, names, depth=1)

    def inward(self, operation: OcraOperation, body: bytes) -> bytes:
        """An answer's body with our names."""
        names = {theirs: ours for ours, theirs in self.members.get(operation, {}).items()}
        return body if operation in _REQUESTS else _renamed(body, names, depth=_DEPTH)

    def write(self, folder: Path) -> Path:
        """Keep them in a folder; where. Raises OSError."""
        written = {
            "operations": {one.name: {"verb": verb, "path": path} for one, (verb, path) in self.operations.items()},
            "members": {one.name: dict(names) for one, names in self.members.items()},
        }
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / FILE_NAME
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
        os.replace(beside, file)  # noqa: PTH105 - Path.replace says the same
        return file

    @classmethod
    def read(cls, folder: Path) -> "LearnedNames | None":
        """Those that are kept there; None where there are none. Raises ConfigError."""
        file = folder / FILE_NAME
        try:
            with file.open("rb") as opened:
                content = opened.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"{file} can't be read: {error.strerror}") from error
        try:
            return _checked(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(f"{file} can't be used", hint="learn it again (sinchphone cloud learn), or delete it") from error


@quick_dataclass(frozen=True, slots=True)
class Lesson:
    """What came of a package: the names, and lines for people about what was found, not found, and differs."""

    names: LearnedNames
    found: tuple[str, ...]
    missing: tuple[str, ...]
    differing: tuple[str, ...]


def learn(api: FoundApi) -> Lesson:
    """Which of a package's names stand for ours."""
    operations: dict[OcraOperation, tuple[str, str]] = {}
    found, missing, differing = list[str](), list[str](), list[str]()
    for operation in OcraOperation:
        theirs = _operation_of(api, operation)
        path = None if theirs is None else _path_of(api, theirs)
        if theirs is None:
            missing.append(f"{operation.name}: none of {', '.join(_CALLED[operation])}")
        elif path is None:
            missing.append(f"{operation.name}: {theirs.name} has parameters that aren't known here: {theirs.path}")
        else:
            operations[operation] = theirs.verb, path
            found.append(f"{operation.name}: {theirs.name} {theirs.verb} {path}" + "".join(f" ?{each}" for each in theirs.query))
            ours = OPERATIONS[operation]
            if (ours.verb, ours.route) != (theirs.verb, path):
                differing.append(f"{operation.name}: {theirs.verb} {path}, ours {ours.verb} {ours.route}")
    members: dict[OcraOperation, dict[str, str]] = {}
    for ours_name, (model, candidates) in _MEMBERS.items():
        there = api.models.get(model)
        chosen = next((name for name in candidates if there is not None and name in there), None)
        if chosen is None:
            missing.append(f"{model}.{ours_name}" + (f": it has {', '.join(there[:40])}" if there is not None else ": no such model"))
            continue
        found.append(f"{model}.{chosen}")
        if chosen != ours_name:
            differing.append(f"{model}: {chosen}, ours {ours_name}")
            for operation in _CARRIERS[model]:
                members.setdefault(operation, {})[ours_name] = chosen
    if api.root is None:
        missing.append("the root of all paths (BASE_PATH, OCRA_PATH): ours stays")
    return Lesson(LearnedNames(operations, members), tuple(found), tuple(missing), tuple(differing))


def _operation_of(api: FoundApi, operation: OcraOperation) -> FoundOperation | None:
    by_name = {name.lower(): one for name, one in api.operations.items()}
    return next((by_name[name.lower()] for name in _CALLED[operation] if name.lower() in by_name), None)


def _path_of(api: FoundApi, theirs: FoundOperation) -> str | None:
    """The whole path with our names for its parameters; None where one isn't known."""
    root = OPERATIONS[OcraOperation.CREATE_INSTANCE].root if api.root is None else api.root
    parts = [_part_of(part) for part in theirs.path.split("/")]
    if theirs.verb not in _VERBS or any(part is None for part in parts):
        return None
    return root + "/".join(part or "" for part in parts)


def _part_of(part: str) -> str | None:
    if not part.startswith("{"):
        return None if "{" in part or "}" in part else part
    ours = _PARAMETERS.get(part.strip("{}"))
    return None if ours is None else f"{{{ours}}}"


def _checked(content: Any) -> LearnedNames:
    operations = {OcraOperation[name]: (one["verb"], one["path"]) for name, one in content["operations"].items()}
    members = {OcraOperation[name]: dict(names) for name, names in content["members"].items()}
    good = all(verb in _VERBS and isinstance(path, str) and path.startswith("/") for verb, path in operations.values())
    if not good or not all(isinstance(text, str) for names in members.values() for pair in names.items() for text in pair):
        raise ValueError("not as it was written")
    return LearnedNames(operations, members)


def _renamed(body: bytes, names: Mapping[str, str], *, depth: int) -> bytes:
    """A JSON body with other member names, so many objects deep; what is no JSON stays."""
    if not names or not body.strip():
        return body
    try:
        return write_json(_rename(json.loads(body), names, depth))
    except (ValueError, RecursionError):
        return body


def _rename(value: Any, names: Mapping[str, str], depth: int) -> Any:
    if depth and isinstance(value, dict):
        return {names.get(name, name): _rename(one, names, depth - 1) for name, one in value.items()}
    return [_rename(one, names, depth) for one in value] if depth and isinstance(value, list) else value


def lines_of(lesson: Lesson) -> Iterator[tuple[str, str]]:
    """What there is to be told: found, missing or differs, and what."""
    for kind, lines in (("found", lesson.found), ("missing", lesson.missing), ("differs", lesson.differing)):
        yield from ((kind, line) for line in lines)
