"""sinchphone: a softphone in the terminal for Sinch In-app Calling.

The public Python API; each name is loaded when it is first used, so that ``import sinchphone`` costs nothing::

    async with Local() as local, SinchClient("ada", local) as client:
        call = await client.call_user("echo")
        async for state in call.states():
            print(state)
"""

from importlib import import_module

TYPE_CHECKING = False  # as in ``typing``, which takes long to import, and a signal may come meanwhile
if TYPE_CHECKING:
    from typing import Any

    from sinchphone.engine.calls.call import Call, CallWarning, DigitHeard, DigitsSent
    from sinchphone.engine.calls.details import CallDetails
    from sinchphone.engine.calls.monitor import QualityRecovered, QualityTriggered, StatsTaken
    from sinchphone.engine.client import SinchClient
    from sinchphone.engine.environment import Cloud
    from sinchphone.engine.events import IncomingCall
    from sinchphone.errors import SinchphoneError
    from sinchphone.local import Local
    from sinchphone.media.sound import SoundOptions
    from sinchphone.protocol.call.states import Cause, State

__all__ = [
    "Call",
    "CallDetails",
    "CallWarning",
    "Cause",
    "Cloud",
    "DigitHeard",
    "DigitsSent",
    "IncomingCall",
    "Local",
    "QualityRecovered",
    "QualityTriggered",
    "SinchClient",
    "SinchphoneError",
    "SoundOptions",
    "State",
    "StatsTaken",
]

_HOMES = {
    "Call": "engine.calls.call",
    "CallDetails": "engine.calls.details",
    "CallWarning": "engine.calls.call",
    "Cause": "protocol.call.states",
    "Cloud": "engine.environment",
    "DigitHeard": "engine.calls.call",
    "DigitsSent": "engine.calls.call",
    "IncomingCall": "engine.events",
    "Local": "local",
    "QualityRecovered": "engine.calls.monitor",
    "QualityTriggered": "engine.calls.monitor",
    "SinchClient": "engine.client",
    "SinchphoneError": "errors",
    "SoundOptions": "media.sound",
    "State": "protocol.call.states",
    "StatsTaken": "engine.calls.monitor",
}


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
