"""The exchange's own end of a call: what a room, a number or the echo is given to talk over, and how it is found."""

import json
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import field
from typing import Protocol, TypeAlias

from sinchphone.errors import SinchphoneError
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.pubsub.polling import watched
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.refusals import EXCHANGE_FAILED, RefusedError
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Client, Message, Method, encode_failure, encrypt, split
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CallRequest
from sinchphone.signaling.wire import ErrorCode

_logger = logging.getLogger(__name__)


@quick_dataclass(frozen=True, slots=True, eq=False)
class CallLine:
    """A call that the exchange itself answers: what was asked for, both ends, and the key of their messages.

    ``local`` is our end: who we are, and the channel that the caller publishes to until it knows another.
    """

    request: CallRequest
    application: Application = field(repr=False)
    caller: Client
    local: Client
    session_key: bytes = field(repr=False)
    broker: Broker = field(repr=False)
    subscribe_key: str = field(repr=False)
    placed_at_token: int
    record: EventRecord = field(default_factory=lambda: EventRecord(is_on=False), repr=False)
    known_as: str = ""  # the id of the call that this one is a part of

    async def publish(self, channel: str, frame: str) -> None:
        """Publish an MXP frame, as a rule on ``caller.channel``. Raises BrokerError."""
        post(self.broker, self.subscribe_key, channel, frame, self.local.instance_id)

    async def frames(self) -> AsyncIterator[object]:
        """What is published to our end, from the moment that the call was placed, for ever. It may be anything."""
        async for posted in watched(self.broker, self.subscribe_key, self.local.channel, self.placed_at_token):
            yield posted.payload


Answerer: TypeAlias = Callable[[CallLine], Awaitable[None]]  # returns when the call is over; cancelled when the exchange closes


@quick_dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another process of this exchange answers: it has what was asked for."""

    process: str


class Destinations(Protocol):
    """What can be called on an exchange beside its users."""

    async def find(self, application: Application, request: CallRequest) -> Answerer | Elsewhere | None:
        """Who answers this call, or ``None`` where that is nobody here; asked before the users are.

        May raise a SinchphoneError: the caller is refused with its message.
        """


def post(broker: Broker, subscribe_key: str, channel: str, payload: object, publisher: str) -> None:
    """Publish from inside the exchange. Raises BrokerError."""
    size = len(json.dumps(payload, ensure_ascii=False).encode())
    broker.post(subscribe_key, channel, payload, size=size, publisher=publisher, now=time.time())


async def talk(answerer: Answerer, line: CallLine) -> None:
    """Let an answerer have its call. Where it gives up with an error, the caller is told; a bug is also raised."""
    try:
        await answerer(line)
    except RefusedError as error:
        await _tell_failure(line, error.status, str(error))
    except SinchphoneError as error:
        _logger.warning("the exchange's end of a call failed: %s", error)
        await _tell_failure(line, ErrorCode.INTERNAL, str(error))
    except Exception:
        await _tell_failure(line, ErrorCode.INTERNAL, EXCHANGE_FAILED)
        raise


async def _tell_failure(line: CallLine, code: int, reason: str) -> None:
    failure = encode_failure(CallFailure(code, reason, "exchange"))
    message = Message(Method.ERROR, line.local, BodyType.ERROR, failure, {"to": line.caller.instance_id})
    for frame in split(encrypt(message, line.session_key, os.urandom(16)), line.request.call_id, str(secrets.randbelow(2_000_000_000))):
        await line.publish(line.caller.channel, frame)
