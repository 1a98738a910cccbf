"""``cloud learn``: what is printed, and where it is kept."""

from pathlib import Path
from typing import Any

API = """
    async getIceServersRaw(requestParameters) {
        const response = await this.request({ path: `/users/{userId}/instances/{instanceId}/ice`, method: 'POST', headers: h });
        return new runtime.JSONApiResponse(response, (jsonValue) => XFromJSON(jsonValue));
    }
"""


def test_what_is_found_what_is_not_and_what_differs_is_printed(sinchphone: Any, tmp_path: Path) -> None:
    folder = tmp_path / "package" / "ocra" / "api" / "apis"
    folder.mkdir(parents=True)
    (folder / "RtcApi.ts").write_text(API)
    ran = sinchphone("cloud", "learn", str(tmp_path / "package"))
    assert ran.code == 0
    assert "found: GET_ICE_SERVERS: getIceServers POST /ocra/v1/users/{user}/instances/{instance}/ice\n" in ran.out
    assert "not found: PLACE_CALL: none of initiateCall, createCall, placeCall\n" in ran.out
    assert "differs from ours: GET_ICE_SERVERS: POST" in ran.out
    assert "ocra-names.json" in ran.out


def test_a_package_without_a_rest_client_is_refused_with_a_hint(sinchphone: Any, tmp_path: Path) -> None:
    ran = sinchphone("cloud", "learn", str(tmp_path))
    assert ran.code == 14
    assert "no operations" in ran.err
    assert "sinch-rtc" in ran.err
