"""One of several processes that are one exchange: what comes from the others, and what one leaves behind.

::

    feed -> messages -> postbox, broker     rows -> directory, accounts, transports, parties, calls
    a process is gone -> one of those left: nobody listens there any more, its calls are followed here
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sinchphone.errors import SinchphoneError
from sinchphone.exchange.calls.line import Destinations
from sinchphone.exchange.calls.shared.carried_calls import CarriedCalls
from sinchphone.exchange.calls.shared.elsewhere import OtherProcesses
from sinchphone.exchange.calls.shared.shared_calls import SharedCalls
from sinchphone.exchange.calls.shared.takeover import CallTakeover
from sinchphone.exchange.conference.owners import RoomOwners
from sinchphone.exchange.conference.rooms import Rooms
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.management.health import HEALTH_PATHS
from sinchphone.exchange.messages.postbox import Postbox
from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.processes.phones import PhoneRows
from sinchphone.exchange.processes.requests import ProcessRequests
from sinchphone.exchange.processes.trunks import TrunkRows
from sinchphone.exchange.pubnub.rights import ChannelRights
from sinchphone.exchange.pubsub.attendance import SharedAttendance
from sinchphone.exchange.pubsub.broker import Broker, BrokerError
from sinchphone.exchange.push.service import SERVICE_PATH
from sinchphone.exchange.store.feed import FeedMessage
from sinchphone.exchange.store.redis.redis_store import RedisStore
from sinchphone.exchange.store.store import StoreError
from sinchphone.protocol.auth import decode_secret
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.ocra.names import OPERATIONS, InstanceSignature, OcraOperation, read_authorization
from sinchphone.tasks import start_task

_BY_THEMSELVES: Final = (  # these wait for others where it matters
    "/v2/subscribe/", "/subscribe/", "/publish/", "/time/", SERVICE_PATH, *HEALTH_PATHS,
)  # fmt: skip
_SIGNED: Final = frozenset(  # these depend on nothing but who signed, or have a turn among all processes, in which all is known
    OPERATIONS[one].route
    for one in (OcraOperation.PLACE_CALL, OcraOperation.GET_CONFIG, OcraOperation.GET_ICE_SERVERS, OcraOperation.GET_FEATURES)
)
_REGISTRATION: Final = OPERATIONS[OcraOperation.CREATE_INSTANCE].route

_logger = logging.getLogger(__name__)


def shared_store(options: ExchangeOptions) -> RedisStore:
    """What the processes of an exchange share. Raises ConfigError."""
    assert isinstance(options.store, StoreAddress), "there is one"
    secrets = {key: decode_secret(text) for key, text in options.applications.items()}
    return RedisStore(options.store, secrets, options.history_seconds)


def up_to_date(store: RedisStore, directory: Directory) -> Middleware:
    """Requests are served with all known that any process did before."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(_BY_THEMSELVES) and not _is_known_enough(request, directory):
            await store.catch_up()
        return await handler(request)

    return middleware


def _is_known_enough(request: web.Request, directory: Directory) -> bool:
    """Whether what other processes did last makes no difference yet: a device that was known keeps its secret, in this dialect."""
    resource = request.match_info.route.resource
    if resource is None or resource.canonical == _REGISTRATION:
        return resource is not None
    if resource.canonical not in _SIGNED:
        return False
    credentials = read_authorization(request.headers.get("Authorization"))
    device = directory.device(credentials.instance_id) if isinstance(credentials, InstanceSignature) else None
    return device is not None and not device.legacy and not device.has_expired(time.time())


@quick_dataclass(frozen=True, slots=True)
class OfOtherProcesses:
    """What the rooms of one process know of the others of its exchange."""

    requests: ProcessRequests
    rooms: RoomOwners
    calls: SharedCalls
    carried: CarriedCalls
    phones: PhoneRows
    trunks: TrunkRows

    @classmethod
    def of(cls, store: RedisStore, directory: Directory) -> "OfOtherProcesses":
        """Of the process that this store serves."""
        process = store.process
        phones = PhoneRows(store, store, process)
        trunks = TrunkRows(store, store.counts, process, lambda: store.is_reached)

        def taken_for_dead() -> None:
            phones.taken_for_dead()
            trunks.taken_for_dead()

        requests = ProcessRequests(store, store, process, taken_for_dead=taken_for_dead)
        carried = CarriedCalls(store, process)
        return cls(requests, RoomOwners(store, process), SharedCalls(store, directory, process), carried, phones, trunks)

    def calls_of(self, directory: Directory, own_ends: Sequence[Destinations]) -> OtherProcesses:
        """What calls have to do with them. ``own_ends``: who answers here, whatever a backend says."""
        return OtherProcesses(self.requests, self.calls, self.carried, directory, own_ends)


class Sharing:
    """Of one process. ``start`` when the rooms have recalled what they knew."""

    def __init__(
        self,
        store: RedisStore,
        attendance: SharedAttendance,
        directory: Directory,
        rights: ChannelRights,
        postbox: Postbox,
        calls: CallTakeover,
        others: OfOtherProcesses,
    ) -> None:
        self._store = store
        self._rooms = others.rooms
        self._phones = others.phones
        self._trunks = others.trunks
        self._requests = others.requests
        self._directory = directory
        self._rights = rights
        self._postbox = postbox
        self._calls = calls
        self._attendance = attendance
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, broker: Broker, rooms: Rooms | None) -> None:
        """Know what the others know, and from now on all that comes: for those that listen here, and the rooms here. Raises StoreError."""
        await self._attendance.recall(broker)
        await self._rooms.join(rooms.lose if rooms is not None else None)
        await self._trunks.join()
        await self._requests.join([one.key for one in self._directory.applications()])
        self._postbox.follow()
        await self._calls.follow()
        self._store.receive(self._receive)
        self._store.departures(self._departed)
        self._store.start()

    def _receive(self, message: FeedMessage, token: int, own: bool) -> None:
        try:
            if self._requests.receive(message):
                return
            if not message.is_piece:
                self._postbox.receive(message, token, own)
            elif not own:  # every process has the pieces of a message, whichever gets the last
                self._rights.frames(self._directory.holder(message.network), message.channel, message.payload, time.time())
        except BrokerError as error:
            _logger.debug("a message of another process is of no use here: %s", error)

    def _departed(self, application: str, process: str, was_said: bool) -> None:
        if was_said:
            _logger.info("another process of this exchange has ended (%s): what it had is taken on here", process)
        else:
            _logger.warning("another process of this exchange is gone (%s): its calls are followed here", process)
        start_task(self._take_on(application, process), name=f"take on {process}", among=self._tasks)

    async def _take_on(self, application: str, process: str) -> None:
        served = self._directory.application(application)
        if served is None:
            return
        try:
            await self._store.catch_up()
            self._requests.bury(application, process)
            self._rooms.bury(application, process)
            await self._phones.bury(application, process)
            await self._trunks.bury(application, process)
            await self._attendance.bury(application, process, time.time())
            await self._calls.adopt(application, process)
            await self._store.buried(application, process)
        except StoreError as error:
            _logger.error("what a process left behind could not be taken on: %s", error)
        except SinchphoneError:
            _logger.exception("what a process left behind could not be taken on")
