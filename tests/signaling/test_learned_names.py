"""Names learned from a package in OpenAPI Generator's ``typescript-fetch`` format (our own files), and packages made to harm."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from sinchphone.errors import ConfigError
from sinchphone.signaling.dialect import Instance
from sinchphone.signaling.ocra.learning import packages
from sinchphone.signaling.ocra.learning.generated_code import FoundApi, is_of_interest, read_file
from sinchphone.signaling.ocra.learning.learned import FILE_NAME, LearnedNames, learn
from sinchphone.signaling.ocra.learning.packages import package_files
from sinchphone.signaling.ocra.names import OPERATIONS, OcraOperation
from sinchphone.signaling.ocra.requests import OcraRequests
from sinchphone.signaling.rest.requests import Ask

API_TS = """
export class CallsApi extends runtime.BaseAPI {
    async initiateCallRaw(requestParameters: InitiateCallOperationRequest, initOverrides?: RequestInit): Promise<runtime.ApiResponse<X>> {
        if (requestParameters['userId'] == null) { throw new runtime.RequiredError('userId', 'Required parameter'); }
        const queryParameters: any = {};
        if (requestParameters['dryRun'] != null) { queryParameters['dryRun'] = requestParameters['dryRun']; }
        const headerParameters: runtime.HTTPHeaders = {};
        headerParameters['Content-Type'] = 'application/json';
        let urlPath = `/u/{userId}/i/{instanceId}/calls`;
        urlPath = urlPath.replace(`{${"userId"}}`, encodeURIComponent(String(requestParameters['userId'])));
        const response = await this.request({
            path: urlPath,
            method: 'PUT',
            headers: headerParameters,
            query: queryParameters,
            body: InitiateCallRequestToJSON(requestParameters['initiateCallRequest']),
        }, initOverrides);
        return new runtime.JSONApiResponse(response, (jsonValue) => CallInitiationResponseFromJSON(jsonValue));
    }
    async initiateCall(requestParameters: InitiateCallOperationRequest): Promise<X> {
        const response = await this.initiateCallRaw(requestParameters, initOverrides);
        return await response.value();
    }
    async submitCallReportRaw(requestParameters) {
        const response = await this.request({
            path: `/reports/{applicationKey}`.replace(`{${"applicationKey"}}`, encodeURIComponent("x")),
            method: 'POST',
        });
        return new runtime.VoidApiResponse(response);
    }
}
"""
API_ES5 = """
var InstanceApi = /** @class */ (function (_super) {
    InstanceApi.prototype.getIceServersRaw = function (requestParameters, initOverrides) {
        return __awaiter(this, void 0, void 0, function () {
            var queryParameters, headerParameters, response;
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0:
                        return [4 /*yield*/, this.request({
                                path: "/users/{userId}/instances/{instanceId}/ice".replace("{".concat("userId", "}"), "x"),
                                method: 'GET',
                                headers: headerParameters,
                            }, initOverrides)];
                    case 1:
                        return [2 /*return*/, new runtime.JSONApiResponse(response, function (j) { return (0, models_1.XFromJSON)(j); })];
"""
MODEL_TS = """
export interface InitiateCallRequest { callId: string; }
export function InitiateCallRequestFromJSON(json: any): InitiateCallRequest { return InitiateCallRequestFromJSONTyped(json, false); }
export function InitiateCallRequestFromJSONTyped(json: any, ignoreDiscriminator: boolean): InitiateCallRequest {
    if (json == null) { return json; }
    return {
        'callId': json['callId'],
        'to': DestinationFromJSON(json['to']),
        'callerIdentifier': !exists(json, 'callerIdentifier') ? undefined : json['callerIdentifier'],
        'sdp': json['sdp'],
    };
}
export function InitiateCallRequestToJSON(value?: InitiateCallRequest | null): any { return { 'notWanted': value.x }; }
export const CallDomain = { Mxp: 'mxp', Pstn: 'pstn' } as const;
"""
PROFILE_JS = """
function RtcProfileFromJSONTyped(json, ignoreDiscriminator) {
    return { 'broadcastChannel': json['broadcastChannel'], 'mxpSignalChannel': json['mxpSignalChannel'], 'key': json['key'] };
}
exports.RtcProfileFromJSONTyped = RtcProfileFromJSONTyped;
"""
FILES = {
    "package/npm/src/ocra/api/apis/CallsApi.ts": API_TS,
    "package/npm/src/ocra/api/apis/InstanceApi.js": API_ES5,
    "package/npm/src/ocra/api/models/InitiateCallRequest.ts": MODEL_TS,
    "package/npm/src/ocra/api/models/RtcProfile.js": PROFILE_JS,
    "package/npm/src/ocra/api/runtime.js": 'exports.BASE_PATH = "https://ocra.example/ocra/v7".replace(/\\/+$/, "");',
    "package/npm/src/ocra/api/apis/CallsApi.d.ts": "initiateCallRaw(x: number): void;",
    "package/README.md": "method: 'DELETE'",
}


def packed(path: Path, files: dict[str, str], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for member in more:
            archive.addfile(member)
    return path


def unpacked(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def api_of(path: Path) -> FoundApi:
    found = FoundApi()
    for name, text in package_files(path, is_of_interest):
        read_file(found, name, text)
    return found


@pytest.mark.parametrize("make", [packed, unpacked])
def test_operations_models_and_the_root_are_found_in_both_shapes(make: object, tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tgz", FILES) if make is packed else unpacked(tmp_path / "a", FILES)
    found = api_of(path)
    assert sorted(found.operations) == ["getIceServers", "initiateCall", "submitCallReport"]
    call = found.operations["initiateCall"]
    assert (call.verb, call.path, call.query) == ("PUT", "/u/{userId}/i/{instanceId}/calls", ("dryRun",))
    assert (call.request, call.result) == ("InitiateCallRequest", "CallInitiationResponse")
    assert found.operations["getIceServers"].path == "/users/{userId}/instances/{instanceId}/ice"
    assert found.models["InitiateCallRequest"] == ("callId", "to", "callerIdentifier", "sdp")
    assert found.models["RtcProfile"] == ("broadcastChannel", "mxpSignalChannel", "key")
    assert found.enums["CallDomain"] == ("mxp", "pstn")
    assert found.root == "/ocra/v7"


def test_what_was_learned_takes_the_place_of_ours_and_is_told(tmp_path: Path) -> None:
    lesson = learn(api_of(packed(tmp_path / "a.tgz", FILES)))
    place = lesson.names.endpoint(OcraOperation.PLACE_CALL)
    assert (place.verb, place.path(user="a b", instance="i")) == ("PUT", "/ocra/v7/u/a%20b/i/i/calls")
    assert lesson.names.endpoint(OcraOperation.GET_FEATURES) == OPERATIONS[OcraOperation.GET_FEATURES]
    assert any("REPORT_CALL" in line and "{applicationKey}" in line for line in lesson.missing)
    assert "InitiateCallRequest: callerIdentifier, ours cli" in lesson.differing
    assert "RtcProfile: mxpSignalChannel, ours signalChannel" in lesson.differing
    body = json.loads(lesson.names.outward(OcraOperation.PLACE_CALL, b'{"cli":"+46","destination":{"destination":1}}'))
    assert body == {"callerIdentifier": "+46", "to": {"destination": 1}}
    answer = b'{"config":{"rtcProfile":{"mxpSignalChannel":"s"}}}'
    assert json.loads(lesson.names.inward(OcraOperation.GET_CONFIG, answer)) == {"config": {"rtcProfile": {"signalChannel": "s"}}}
    assert lesson.names.outward(OcraOperation.UPDATE_INSTANCE, b'{"cli":1}') == b'{"cli":1}'


def test_it_is_kept_and_read_again_and_a_broken_file_is_said(tmp_path: Path) -> None:
    names = learn(api_of(packed(tmp_path / "a.tgz", FILES))).names
    assert LearnedNames.read(tmp_path) is None
    names.write(tmp_path)
    assert LearnedNames.read(tmp_path) == names
    for content in ("{", '{"operations": {"PLACE_CALL": {"verb": "RUN", "path": "/"}}, "members": {}}', "[]"):
        (tmp_path / FILE_NAME).write_text(content)
        with pytest.raises(ConfigError):
            LearnedNames.read(tmp_path)


def test_a_package_that_goes_up_or_links_out_of_itself_writes_nothing_and_reads_nothing_else(tmp_path: Path) -> None:
    """Attack: names with .., absolute names, symbolic and hard links, a device."""
    (tmp_path / "secret.ts").write_text(API_TS)
    link, hard, device = (tarfile.TarInfo(f"package/apis/{name}.ts") for name in ("link", "hard", "device"))
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.ts")
    hard.type, hard.linkname = tarfile.LNKTYPE, str(tmp_path / "secret.ts")
    device.type = tarfile.CHRTYPE
    inside = tmp_path / "inside"
    inside.mkdir()
    path = packed(inside / "a.tgz", {"../../apis/up.ts": "", "/apis/absolute.ts": ""}, link, hard, device)
    assert api_of(path).operations == {}
    folder = unpacked(inside / "folder", {"apis/good.ts": ""})
    (folder / "apis" / "link.ts").symlink_to(tmp_path / "secret.ts")
    (folder / "models").symlink_to("/")
    os.mkfifo(folder / "apis" / "pipe.ts")
    assert api_of(folder).operations == {}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["inside", "secret.ts"]


def test_a_bomb_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a small file that unpacks to gigabytes; more files than anybody has."""
    monkeypatch.setattr(packages, "MAX_PACKAGE_BYTES", 1_000_000)
    bomb = packed(tmp_path / "a.tgz", {"package/apis/A.ts": " " * 500_000, "package/b": " " * 5_000_000})
    with pytest.raises(ConfigError, match="more than"):
        api_of(bomb)
    monkeypatch.setattr(packages, "MAX_FILES", 10)
    with pytest.raises(ConfigError, match="more than 10 files"):
        api_of(packed(tmp_path / "b.tgz", {f"apis/{number}.ts": "" for number in range(20)}))
    with pytest.raises(ConfigError, match="more than 10 files"):
        api_of(unpacked(tmp_path / "c", {f"apis/{number}.ts": "" for number in range(20)}))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no tar" * 1000), gzip.compress(bytes(2000))[:-9]],
    ids=["empty", "text", "no tar", "cut"],
)
def test_what_is_no_package_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(content)
    with pytest.raises(ConfigError):
        list(package_files(tmp_path / "a.tgz", is_of_interest))
    with pytest.raises(ConfigError):
        list(package_files(tmp_path / "absent.tgz", is_of_interest))


@pytest.mark.parametrize("unit", ["aRaw(", "path: `/{", "const a = {", "json['", "urlPath = `/" + "a" * 290, "x Raw = function"])
def test_text_that_is_made_to_be_slow_is_read_in_no_time(unit: str) -> None:
    """Attack: beginnings of what is looked for, over and over."""
    found = FoundApi()
    for name in ("apis/a.ts", "models/a.ts", "runtime.ts"):
        read_file(found, name, unit * (500_000 // len(unit)))


async def test_requests_go_where_was_learned_with_the_members_that_were() -> None:
    asked: list[Ask] = []

    class Wire:
        async def send_signed(self, ask: Ask, instance: Instance, read: Callable[[bytes], object]) -> object:
            asked.append(ask)
            return read(b'{"rtcProfile":{"mxpSignalChannel":"s"}}')

    names = LearnedNames(
        {OcraOperation.PLACE_CALL: ("PUT", "/v7/{user}/calls")},
        {OcraOperation.PLACE_CALL: {"cli": "from"}, OcraOperation.GET_CONFIG: {"signalChannel": "mxpSignalChannel"}},
    )
    requests = OcraRequests(cast(Any, Wire()), "ada", names)
    instance = Instance("i", b"secret", "ada", "device", None)
    await requests.send_signed(OcraOperation.PLACE_CALL, instance, bytes, body=b'{"cli":"+46"}')
    answer = await requests.send_signed(OcraOperation.GET_CONFIG, instance, bytes)
    assert (asked[0].verb, asked[0].path, asked[0].body) == ("PUT", "/v7/ada/calls", b'{"from":"+46"}')
    assert json.loads(answer) == {"rtcProfile": {"signalChannel": "s"}}
