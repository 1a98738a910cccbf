"""What a caller hears at the end of a call that never was: busy, or that there is no way there."""

import asyncio
import contextlib
from typing import Final

from sinchphone.engine.calls.details import CallDetails
from sinchphone.errors import SinchphoneError
from sinchphone.media.sound import Signal, Sound
from sinchphone.protocol.call.states import EndedBy

BUSY_TONE_S: Final = 2.0
_TONES: Final = {486: Signal.BUSY, 600: Signal.BUSY, 503: Signal.CONGESTION, 504: Signal.CONGESTION}  # RFC 3261 21


async def sound_the_end(details: CallDetails, sound: Sound, enough: asyncio.Event, *, outbound: bool) -> None:
    """Whoever called hears that the callee is busy, or that there is no way there (all lines in use, an overload), until that is
    ``enough``; all else is quiet."""
    refused = outbound and details.ended_by in (EndedBy.PEER, EndedBy.PLATFORM) and details.established_at is None
    tone = _TONES.get(details.failure.code or 0) if refused and details.failure is not None else None
    with contextlib.suppress(SinchphoneError, TimeoutError):
        if await sound.signal(tone):
            await asyncio.wait_for(enough.wait(), BUSY_TONE_S)
