"""Session descriptions and ICE candidates as they travel in MXP bodies and REST."""

import json
from typing import Any, Literal, TypeAlias

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sdp.session_description import MAX_SDP_BYTES
from sinchphone.protocol.unicode import is_unicode
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Description:
    """An offer or an answer."""

    type: Literal["offer", "answer"]
    sdp: str


@quick_dataclass(frozen=True, slots=True)
class Candidate:
    """One trickled ICE candidate; ``candidate`` begins with ``candidate:`` (RFC 8839), empty means "no more"."""

    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


SdpBody: TypeAlias = Description | Candidate


def encode_description(description: Description) -> str:
    """The JSON text ``{"type", "sdp"}``."""
    return json.dumps({"type": description.type, "sdp": description.sdp}, separators=(",", ":"))


def encode_candidate(candidate: Candidate) -> str:
    """The JSON text of a candidate, in both spellings that clients are known to read."""
    return json.dumps(
        {
            "candidate": candidate.candidate,
            "cand": candidate.candidate,
            "sdpMid": candidate.sdp_mid,
            "sdpMLineIndex": candidate.sdp_mline_index,
            "sdpMLI": candidate.sdp_mline_index,
        },
        separators=(",", ":"),
    )


def decode_sdp_body(text: str) -> SdpBody:
    """What a body of type ``sdp`` holds; raises RemoteProtocolError for anything else."""
    if len(text) > MAX_SDP_BYTES:
        raise RemoteProtocolError(f"a session description of {len(text)} characters is too long")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("the session description is not JSON") from error
    if not isinstance(value, dict):
        raise RemoteProtocolError("the session description is not a JSON object")
    return description_from_json(value) if "sdp" in value else _candidate_from_json(value)


def description_from_json(value: Any) -> Description:
    """A description from ``{"type", "sdp"}``; raises RemoteProtocolError."""
    if not isinstance(value, dict):
        raise RemoteProtocolError("the session description is not a JSON object")
    kind, sdp = value.get("type"), value.get("sdp")
    if kind not in ("offer", "answer") or not isinstance(sdp, str) or not sdp.startswith("v=0") or not is_unicode(sdp):
        raise RemoteProtocolError("the session description has no type or no SDP")
    return Description(kind, sdp)


def _candidate_from_json(value: dict[str, Any]) -> Candidate:
    text = value.get("candidate", value.get("cand"))
    mid, index = value.get("sdpMid"), value.get("sdpMLineIndex", value.get("sdpMLI"))
    if not isinstance(text, str) or not is_unicode(text):
        raise RemoteProtocolError("the candidate has no text")
    if not isinstance(mid, str | None) or not isinstance(index, int | None):
        raise RemoteProtocolError("the candidate's media line is not readable")
    return Candidate(text, mid, index)
