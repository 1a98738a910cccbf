"""sinchphone: a softphone in the terminal for Sinch In-app Calling.

The public Python API; each name is loaded when it is first used, so that ``import sinchphone`` costs nothing::

    async with Local() as local, SinchClient("ada", local) as client:
        call = await client.call_user("echo")
        async for state in call.states():
            print(state)
"""

TYPE_CHECKING = False  # as in ``typing``, which takes long to import, and a signal may come meanwhile
if TYPE_CHECKING:
    from typing import Any

    from sinchphone.audio.frame import Frame
    from sinchphone.audio.quality import QualityReport
    from sinchphone.engine.accounts import create_user
    from sinchphone.engine.calls.call import Call
    from sinchphone.engine.calls.call_events import CallEvent, CallWarning, DigitHeard, DigitsSent, RoomChanged, Transferred
    from sinchphone.engine.calls.details import CallDetails
    from sinchphone.engine.calls.hold import Held, Resumed
    from sinchphone.engine.calls.media.monitor import MediaStream, QualityRecovered, QualityTriggered, StatsTaken
    from sinchphone.engine.calls.participant import CallParticipant
    from sinchphone.engine.capabilities import Capabilities
    from sinchphone.engine.client import SinchClient
    from sinchphone.engine.environment import Cloud, Environment
    from sinchphone.engine.events.events import (
        ClientEvent,
        ClientFailed,
        ClientWarning,
        FellAsleep,
        IncomingCall,
        InstantMessage,
        MessageDelivered,
        MessageFailed,
        MessageReceived,
        MessageSent,
        PushDropped,
        PushReceived,
        Ready,
        Reconnected,
        Reconnecting,
    )
    from sinchphone.engine.group_call import GroupCall, LocalMediaAdded, RemoteCallAdded, RemoteCallRemoved
    from sinchphone.engine.history.history import History
    from sinchphone.engine.managed_push import PushResult
    from sinchphone.engine.messages.sent import SentMessage
    from sinchphone.errors import (
        AudioFileError,
        AuthenticationError,
        ConfigError,
        DestinationError,
        DeviceError,
        ForbiddenError,
        LocalProtocolError,
        MediaError,
        MessageError,
        NetworkError,
        NotFoundError,
        PlatformError,
        RemoteProtocolError,
        SinchphoneError,
        TransferError,
    )
    from sinchphone.gateway.options import BackendOptions, GatewayOptions, SipSettings, TrunkOptions
    from sinchphone.local import Local
    from sinchphone.media.options import RecordLayout
    from sinchphone.media.pictures.pictures import PictureOptions
    from sinchphone.media.port import PortStats
    from sinchphone.media.sound import (
        Levels,
        Party,
        PlayFinished,
        PlayStarted,
        RecordFinished,
        RecordStarted,
        Signal,
        Sound,
        SoundOptions,
        SoundWarning,
    )
    from sinchphone.media.thread import MediaThread
    from sinchphone.media.ticker import Ticker
    from sinchphone.protocol.call.room_events import RoomMember
    from sinchphone.protocol.call.states import Cause, EndedBy, State
    from sinchphone.protocol.mxp.message import CallFailure
    from sinchphone.protocol.verification import VerificationStatus
    from sinchphone.protocol.webpush.subscription import PushSubscription
    from sinchphone.signaling.dialect import Domain, IdentityKind, Instance, Recipient
    from sinchphone.signaling.push.inbox import PushCounts
    from sinchphone.signaling.push.notification import CallNotification
    from sinchphone.signaling.services.sms import Delivery, DeliveryReport, SmsApi
    from sinchphone.signaling.services.verification import (
        NumberVerification,
        VerificationClient,
        VerificationNews,
        WrongCodeError,
    )

    __version__: str

__all__ = [
    "AudioFileError",
    "AuthenticationError",
    "BackendOptions",
    "Call",
    "CallDetails",
    "CallEvent",
    "CallFailure",
    "CallNotification",
    "CallParticipant",
    "CallWarning",
    "Capabilities",
    "Cause",
    "ClientEvent",
    "ClientFailed",
    "ClientWarning",
    "Cloud",
    "ConfigError",
    "Delivery",
    "DeliveryReport",
    "DestinationError",
    "DeviceError",
    "DigitHeard",
    "DigitsSent",
    "Domain",
    "EndedBy",
    "Environment",
    "FellAsleep",
    "ForbiddenError",
    "Frame",
    "GatewayOptions",
    "GroupCall",
    "Held",
    "History",
    "IdentityKind",
    "IncomingCall",
    "Instance",
    "InstantMessage",
    "Levels",
    "Local",
    "LocalMediaAdded",
    "LocalProtocolError",
    "MediaError",
    "MediaStream",
    "MediaThread",
    "MessageDelivered",
    "MessageError",
    "MessageFailed",
    "MessageReceived",
    "MessageSent",
    "NetworkError",
    "NotFoundError",
    "NumberVerification",
    "Party",
    "PictureOptions",
    "PlatformError",
    "PlayFinished",
    "PlayStarted",
    "PortStats",
    "PushCounts",
    "PushDropped",
    "PushReceived",
    "PushResult",
    "PushSubscription",
    "QualityRecovered",
    "QualityReport",
    "QualityTriggered",
    "Ready",
    "Recipient",
    "Reconnected",
    "Reconnecting",
    "RecordFinished",
    "RecordLayout",
    "RecordStarted",
    "RemoteCallAdded",
    "RemoteCallRemoved",
    "RemoteProtocolError",
    "Resumed",
    "RoomChanged",
    "RoomMember",
    "SentMessage",
    "Signal",
    "SinchClient",
    "SinchphoneError",
    "SipSettings",
    "SmsApi",
    "Sound",
    "SoundOptions",
    "SoundWarning",
    "State",
    "StatsTaken",
    "Ticker",
    "TransferError",
    "Transferred",
    "TrunkOptions",
    "VerificationClient",
    "VerificationNews",
    "VerificationStatus",
    "WrongCodeError",
    "__version__",
    "create_user",
]

_HOMES = {
    "audio.frame": ("Frame",),
    "audio.quality": ("QualityReport",),
    "engine.accounts": ("create_user",),
    "engine.calls.call": ("Call",),
    "engine.calls.call_events": (
        "CallEvent",
        "CallWarning",
        "DigitHeard",
        "DigitsSent",
        "RoomChanged",
        "Transferred",
    ),
    "engine.calls.details": ("CallDetails",),
    "engine.calls.hold": (
        "Held",
        "Resumed",
    ),
    "engine.calls.media.monitor": (
        "MediaStream",
        "QualityRecovered",
        "QualityTriggered",
        "StatsTaken",
    ),
    "engine.calls.participant": ("CallParticipant",),
    "engine.capabilities": ("Capabilities",),
    "engine.client": ("SinchClient",),
    "engine.environment": (
        "Cloud",
        "Environment",
    ),
    "engine.events.events": (
        "ClientEvent",
        "ClientFailed",
        "ClientWarning",
        "FellAsleep",
        "IncomingCall",
        "InstantMessage",
        "MessageDelivered",
        "MessageFailed",
        "MessageReceived",
        "MessageSent",
        "PushDropped",
        "PushReceived",
        "Ready",
        "Reconnected",
        "Reconnecting",
    ),
    "engine.group_call": (
        "GroupCall",
        "LocalMediaAdded",
        "RemoteCallAdded",
        "RemoteCallRemoved",
    ),
    "engine.history.history": ("History",),
    "engine.managed_push": ("PushResult",),
    "engine.messages.sent": ("SentMessage",),
    "errors": (
        "AudioFileError",
        "AuthenticationError",
        "ConfigError",
        "DestinationError",
        "DeviceError",
        "ForbiddenError",
        "LocalProtocolError",
        "MediaError",
        "MessageError",
        "NetworkError",
        "NotFoundError",
        "PlatformError",
        "RemoteProtocolError",
        "SinchphoneError",
        "TransferError",
    ),
    "gateway.options": (
        "BackendOptions",
        "GatewayOptions",
        "SipSettings",
        "TrunkOptions",
    ),
    "local": ("Local",),
    "media.options": ("RecordLayout",),
    "media.pictures.pictures": ("PictureOptions",),
    "media.port": ("PortStats",),
    "media.sound": (
        "Levels",
        "Party",
        "PlayFinished",
        "PlayStarted",
        "RecordFinished",
        "RecordStarted",
        "Signal",
        "Sound",
        "SoundOptions",
        "SoundWarning",
    ),
    "media.thread": ("MediaThread",),
    "media.ticker": ("Ticker",),
    "protocol.call.room_events": ("RoomMember",),
    "protocol.call.states": (
        "Cause",
        "EndedBy",
        "State",
    ),
    "protocol.mxp.message": ("CallFailure",),
    "protocol.verification": ("VerificationStatus",),
    "protocol.webpush.subscription": ("PushSubscription",),
    "signaling.dialect": (
        "Domain",
        "IdentityKind",
        "Instance",
        "Recipient",
    ),
    "signaling.push.inbox": ("PushCounts",),
    "signaling.push.notification": ("CallNotification",),
    "signaling.services.sms": (
        "Delivery",
        "DeliveryReport",
        "SmsApi",
    ),
    "signaling.services.verification": (
        "NumberVerification",
        "VerificationClient",
        "VerificationNews",
        "WrongCodeError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> "Any":
    from importlib import import_module  # here, since the command line takes the signals only after this file was read

    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
