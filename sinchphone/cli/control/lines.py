"""Lines of an endless stream, one at a time, in bounded memory. Pure."""

from typing import Final

MAX_LINE_BYTES: Final = 262_144  # a text of 24 KiB, every byte spelt \\u00xx, and room


class LineSplitter:
    """Takes bytes, gives whole lines; ``None`` for one that is longer than a line may be, once, when that is seen."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._begun = bytearray()
        self._skipping = False  # the rest of a line that was too long

    def push(self, chunk: bytes) -> list[bytes | None]:
        """The lines that are complete now, without their ends; empty ones are left out."""
        found: list[bytes | None] = []
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._grow(end, found)
            found += self.finish()
        self._grow(rest, found)
        return found

    def finish(self) -> list[bytes | None]:
        """The line that was begun, at the end of the stream: it may lack its end."""
        line, self._begun = bytes(self._begun).strip(), bytearray()
        skipped, self._skipping = self._skipping, False
        return [line] if line and not skipped else []

    def _grow(self, part: bytes, found: list[bytes | None]) -> None:
        if self._skipping:
            return
        if len(self._begun) + len(part) > self._limit:
            self._begun, self._skipping = bytearray(), True
            found.append(None)
        else:
            self._begun += part
