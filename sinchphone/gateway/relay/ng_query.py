"""What came from the sides of a call that rtpengine has, by its answers to ``query``."""

from dataclasses import dataclass
from typing import Any

from sinchphone.gateway.relay.relay import Side


@dataclass(slots=True)
class HeardSide:
    """What is known about one side's arrivals."""

    heard_at: float  # on time.monotonic
    packets: int = 0
    connected: bool = False
    told_at: float = float("-inf")  # that nothing comes


def packets_of(found: dict[str, Any], side: Side) -> tuple[int, int]:
    """How many packets came from a side: of sound, and of any kind."""
    try:
        own = [tag for name, tag in found["tags"].items() if name == side or name.startswith(f"{side}-")]
        streams = [stream for tag in own for media in tag["medias"] for stream in media["streams"]]
        counts = [("RTP" in stream["flags"], int(stream["stats"]["packets"])) for stream in streams]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return 0, 0
    return sum(count for is_sound, count in counts if is_sound), sum(count for _, count in counts)
