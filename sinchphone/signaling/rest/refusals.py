"""Bodies of answers that refuse, in both dialects."""

from sinchphone.errors import RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.wire import ErrorCode


@quick_dataclass(frozen=True, slots=True)
class Refusal:
    """ModelError: why a request was refused. The message comes from the other side and may be empty."""

    code: int | None
    message: str
    reference: str | None = None


def write_error(code: ErrorCode, message: str, reference: str | None = None) -> bytes:
    """The body of an answer that refuses (ModelError)."""
    return write_json({"code": int(code), "message": message, "reference": reference})


def read_error(body: bytes) -> Refusal:
    """The body of an answer that refuses; whatever can't be read is left empty, nothing is raised."""
    try:
        record = Record.parse(body[:65_536])
    except RemoteProtocolError:
        return Refusal(None, "")
    code = record.value("code") or record.value("errorCode")
    message, reference = record.value("message"), record.value("reference")
    return Refusal(
        code if isinstance(code, int) and abs(code) < 2**31 else None,
        message[:500] if isinstance(message, str) else "",
        reference[:100] if isinstance(reference, str) else None,
    )
