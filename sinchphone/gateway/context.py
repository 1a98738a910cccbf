"""What all calls of a gateway use: complete when it is made, and nothing in it is replaced."""

from dataclasses import field

from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.conference.rooms import Rooms
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.recordings.recordings import Recordings
from sinchphone.gateway.call_records import CallRecords
from sinchphone.gateway.callbacks.announcements import Announcements
from sinchphone.gateway.callbacks.backends import Backends
from sinchphone.gateway.legs.outgoing import OutgoingLegs
from sinchphone.gateway.media_backends import MediaBackends
from sinchphone.gateway.open_calls import OpenCalls
from sinchphone.gateway.routing.routing import Routes
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.gateway.trunk.trunk_lines import TrunkLines
from sinchphone.media.thread import MediaThread
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class GatewayContext:
    """``default_application`` is the one that SIP callers belong to; ``url`` is where the exchange's REST APIs are; ``addresses`` says
    where calls may be streamed to."""

    media: MediaThread
    media_backends: MediaBackends
    rooms: Rooms
    trunk: Trunk | None
    lines: TrunkLines | None = None  # of the trunk
    routes: Routes
    legs: OutgoingLegs
    announcements: Announcements
    backends: Backends
    records: CallRecords
    default_application: str
    recordings: Recordings
    addresses: AddressPolicy
    url: str
    open_calls: OpenCalls
    intake: Intake = field(default_factory=Intake)
    event_record: EventRecord = field(default_factory=lambda: EventRecord(is_on=False))
