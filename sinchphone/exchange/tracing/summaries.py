"""One call in the list of calls."""

from typing import Any, Self

from sinchphone.errors import RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallSummary:
    """``ended_at`` is ``None`` while the call goes on; ``left_out``: so many facts of it are kept no more."""

    id: str
    caller: str
    callee: str
    began_at: float
    ended_at: float | None
    ending: str
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """As ``from_json`` reads it."""
        return {
            "id": self.id,
            "caller": self.caller,
            "callee": self.callee,
            "beganAt": self.began_at,
            "endedAt": self.ended_at,
            "ending": self.ending,
            "leftOut": self.left_out,
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Raises RemoteProtocolError."""
        if not isinstance(value, dict):
            raise RemoteProtocolError("a call is an object")
        try:
            return cls(
                id=str(value["id"]),
                caller=str(value["caller"]),
                callee=str(value["callee"]),
                began_at=float(value["beganAt"]),
                ended_at=None if value["endedAt"] is None else float(value["endedAt"]),
                ending=str(value["ending"]),
                left_out=int(value["leftOut"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RemoteProtocolError("a call of the exchange can't be read") from error
