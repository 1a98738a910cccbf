"""Bodies of the SMS API ("XMS"), as far as the exchange has it: batches of texts, and what became of them (pure)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from sinchphone.errors import RemoteProtocolError, SinchphoneError
from sinchphone.exchange.sms.inbox import TextMessage
from sinchphone.protocol.phone_numbers import is_number
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record
from sinchphone.signaling.services.sms import MAX_BATCH_RECIPIENTS
from sinchphone.signaling.wire import write_time

MAX_BODY_CHARACTERS: Final = 2_000
MAX_REFERENCE_CHARACTERS: Final = 128
MAX_SENDER_CHARACTERS: Final = 128
_TEXT: Final = "mt_text"
_IGNORED: Final = str.maketrans("", "", " -().")
_PARAMETER: Final = re.compile(r"\$\{([^{}]{1,16})\}")
_NOT_HERE: Final = ("send_at", "udh", "callback_url")  # what would be done otherwise than asked
_REPORTS: Final = ("none", "summary", "full")  # how a delivery is told who asks for it; the API has two more, which only callbacks tell
_REPORTS_BY_CALLBACK: Final = ("per_recipient", "per_recipient_final")


class XmsError(SinchphoneError):
    """A request that isn't served, as the SMS API words it."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


@quick_dataclass(frozen=True, slots=True)
class TextBatch:
    """One text for several numbers (+E164), with its ``${parameters}`` as each number has them."""

    numbers: tuple[str, ...]
    sender: str | None
    body: str = field(repr=False)
    reference: str | None = None
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    delivery_report: str = "none"
    flash: bool = False

    def text_for(self, number: str) -> str:
        """What that number gets; a parameter that nobody gave stays as it's written."""
        return _PARAMETER.sub(lambda found: self._value(found[1], number, found[0]), self.body)

    def _value(self, name: str, number: str, otherwise: str) -> str:
        values = self.parameters.get(name, {})
        return values.get(number, values.get(number.removeprefix("+"), values.get("default", otherwise)))


def read_batch(body: bytes) -> TextBatch:
    """A batch of texts. Raises XmsError."""
    try:
        asked = Record.parse(body)
        for name in _NOT_HERE:
            if asked.has(name):
                raise _not_here(name)
        if (asked.optional_text("type", limit=32) or _TEXT) != _TEXT:
            raise asked.odd("type", _TEXT)
        return TextBatch(
            numbers=tuple(dict.fromkeys(_numbers(asked.value("to")))),
            sender=asked.optional_text("from", limit=MAX_SENDER_CHARACTERS),
            body=asked.text("body", limit=MAX_BODY_CHARACTERS),
            reference=asked.optional_text("client_reference", limit=MAX_REFERENCE_CHARACTERS),
            parameters=_parameters(asked),
            delivery_report=_delivery_report(asked),
            flash=asked.flag("flash_message", default=False),
        )
    except RemoteProtocolError as error:
        code = "syntax_invalid_json" if "JSON" in str(error) else "syntax_invalid_parameter_format"
        raise XmsError(400, code, str(error)) from error


def _delivery_report(asked: Record) -> str:
    report = asked.optional_text("delivery_report", limit=32) or _REPORTS[0]
    if report in _REPORTS_BY_CALLBACK:
        raise _not_here(f"delivery_report {report}")
    if report not in _REPORTS:
        raise asked.odd("delivery_report", f"{', '.join(_REPORTS[:-1])} or {_REPORTS[-1]}")
    return report


def _not_here(name: str) -> XmsError:
    return XmsError(400, "syntax_constraint_violation", f"{name}: this exchange has no such messages, and no callbacks")


def _numbers(value: object) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_BATCH_RECIPIENTS:
        raise XmsError(400, "syntax_constraint_violation", f"to: it must be a list of 1 to {MAX_BATCH_RECIPIENTS} numbers")
    return [read_msisdn(one, f"to[{index}]") for index, one in enumerate(value)]


def read_msisdn(value: object, name: str) -> str:
    """A number as the SMS API takes them (``+``, ``00`` or nothing in front), as +E164. Raises XmsError."""
    bare = value.translate(_IGNORED) if isinstance(value, str) else ""
    number = f"+{bare.removeprefix('+').removeprefix('00')}"
    if not is_number(number):
        raise XmsError(400, "syntax_invalid_parameter_format", f"{name}: it should be a number such as 46700000001")
    return number


def _parameters(asked: Record) -> dict[str, dict[str, str]]:
    written = asked.value("parameters")
    if written is None:
        return {}
    if not isinstance(written, dict):
        raise asked.odd("parameters", "an object")
    return {str(name): asked.record("parameters").text_map(str(name)) for name in written}


def batch_members(batch: str, messages: Sequence[TextMessage], asked: TextBatch | None = None) -> dict[str, Any]:
    """A batch, as it's answered: numbers have no ``+``. What was ``asked`` beside the text is in the answer to that only."""
    first = messages[0]
    at = write_time(first.at)
    members = {
        "id": batch,
        "from": first.sender,
        "to": [one.number.removeprefix("+") for one in messages],
        "body": asked.body if asked is not None else first.text,
        "type": _TEXT,
        "client_reference": asked.reference if asked is not None else None,
        "canceled": False,
        "created_at": at,
        "modified_at": at,
        "delivery_report": asked.delivery_report if asked is not None else None,
        "flash_message": asked.flash if asked is not None else None,
    }
    return {name: value for name, value in members.items() if value is not None}


def report_members(batch: str, messages: Sequence[TextMessage]) -> dict[str, Any]:
    """What became of a batch: everybody has it."""
    numbers = [one.number.removeprefix("+") for one in messages]
    status = {"code": 0, "status": "Delivered", "count": len(numbers), "recipients": numbers}
    return {"type": "delivery_report_sms", "batch_id": batch, "total_message_count": len(numbers), "statuses": [status]}


def recipient_report_members(batch: str, message: TextMessage) -> dict[str, Any]:
    """What became of a batch at one number: that one has it."""
    return {
        "type": "recipient_delivery_report_sms",
        "batch_id": batch,
        "recipient": message.number.removeprefix("+"),
        "code": 0,
        "status": "Delivered",
        "at": write_time(message.at),
    }
