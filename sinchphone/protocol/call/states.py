"""The states of a call, and how it can end: the words that everybody uses. Needs nothing else of the protocol."""

from enum import StrEnum
from typing import Final

NETWORK_DOMAIN: Final = "network"  # of failures: something could not be reached
PLATFORM_DOMAIN: Final = "platform"  # of failures: it refused
BUSY_CODES: Final = (486, 600)  # of failures (RFC 3261 21.4.24, 21.6.1)
ICE_FAILED: Final = 3002  # of a failure, CallFailedToConnectIce of the Sinch SDK


class State(StrEnum):
    """What people call the state of a call. A call only moves down this list."""

    CREATED = "created"
    PROGRESSING = "progressing"  # outgoing only: the platform took the call
    RINGING = "ringing"  # a device of the called user rings
    ANSWERED = "answered"  # picked up, sound is being connected
    ESTABLISHED = "established"  # sound flows
    ENDED = "ended"


class Cause(StrEnum):
    """Why a call ended, in the Sinch SDK's terms (CallEndCause)."""

    TIMEOUT = "timeout"  # no device of the called user took notice in time
    DENIED = "denied"
    NO_ANSWER = "no_answer"
    FAILURE = "failure"
    HUNG_UP = "hung_up"
    CANCELED = "canceled"
    OTHER_DEVICE_ANSWERED = "other_device_answered"
    INACTIVE = "inactive"  # the other side vanished


class EndedBy(StrEnum):
    """Who or what ended a call."""

    US = "us"
    PEER = "peer"
    PLATFORM = "platform"
    MEDIA = "media"  # no sound came, or none could be carried
    TIME = "time"  # a limit passed
