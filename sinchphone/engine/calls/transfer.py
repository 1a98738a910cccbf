"""Asks the peer to call somebody else instead of us, and waits for what comes of it."""

import asyncio
from typing import Final

from sinchphone.engine.calls.machine_driver import MachineDriver
from sinchphone.errors import LocalProtocolError, TransferError
from sinchphone.protocol.call.transfer_events import MAX_TO, TransferNews, TransferWish, decode_transfer, encode_transfer
from sinchphone.protocol.call.vocabulary import TellClientEvent

TAKEN_S: Final = 5.0  # for the other side to say that it has begun
OVER_S: Final = 90.0  # for the new call to be answered
NOT_HERE: Final = TransferNews(501, "this phone calls nobody on another's word")


class Transfer:
    """Of one call."""

    def __init__(self, driver: MachineDriver) -> None:
        self._driver = driver
        self._news: asyncio.Queue[TransferNews | None] | None = None

    async def ask(self, to: str) -> None:
        """Have the peer call ``to``; returns when that was answered, or the peer has left for it. Raises TransferError and
        LocalProtocolError."""
        if not 0 < len(to) <= MAX_TO or not to.isprintable():
            raise LocalProtocolError("a transfer leads to a user, a number or a SIP address")
        if self._news is not None:
            raise LocalProtocolError("another transfer of this call is under way")
        news = self._news = asyncio.Queue()
        try:
            self._driver.put(TellClientEvent(encode_transfer(TransferWish(to))))
            limit = TAKEN_S
            while True:
                async with asyncio.timeout(limit):
                    told = await news.get()
                if told is None or 200 <= told.status < 300:
                    return
                if told.status >= 300:
                    raise TransferError(f"{to} was not reached: {told.reason or told.status}", status=told.status)
                limit = OVER_S
        except TimeoutError as error:
            raise TransferError("the other side doesn't transfer calls, or says nothing of it", status=408) from error
        finally:
            self._news = None

    def heard(self, body: str) -> None:
        """A client event of the peer."""
        match decode_transfer(body):
            case TransferNews() as news if self._news is not None:
                self._news.put_nowait(news)
            case TransferWish():
                self._driver.put(TellClientEvent(encode_transfer(NOT_HERE)))

    def ended(self) -> None:
        """The call is over: the peer has left, for the other call as it seems."""
        if self._news is not None:
            self._news.put_nowait(None)
