"""Which bytes of a pipe belong to which call, where several calls share one."""

from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from sinchphone.cli.terminal.output.results import PipeDirection, PipeEndedTold, PipeStartedTold

if TYPE_CHECKING:
    from sinchphone.media import sound as s


class PipeOffsets:
    """Of one call. ``before`` counts the bytes of earlier calls by pipe and direction, and grows."""

    def __init__(self, before: MutableMapping[tuple[str, bool], int]) -> None:
        self._before = before
        self._began: dict[tuple[str, bool], int] = {}

    def told(self, call_id: str, event: "s.PipeEvent") -> PipeStartedTold | PipeEndedTold:
        """What is told of it. A plain file knows itself where it goes on."""
        from sinchphone.media import sound as s

        pipe = event.path, event.outward
        direction = PipeDirection.OUT if event.outward else PipeDirection.IN
        if isinstance(event, s.PipeStarted):
            began = self._began[pipe] = self._before.get(pipe, 0) if event.offset is None else event.offset
            return PipeStartedTold(call_id=call_id, path=event.path, direction=direction, offset_bytes=began)
        began = self._began.get(pipe, self._before.get(pipe, 0))
        self._before[pipe] = began + event.bytes
        return PipeEndedTold(
            call_id=call_id, path=event.path, direction=direction, offset_bytes=began, bytes=event.bytes, reason=event.failure
        )
