"""Asks the peer to call somebody else instead of us, and waits for what comes of it."""

import asyncio
from typing import Final

from sinchphone.engine.calls.machine_driver import MachineDriver
from sinchphone.errors import LocalProtocolError, TransferError
from sinchphone.protocol.call.transfer_events import MAX_TO, NO_TRANSFER_NEWS, TransferNews, TransferWish, encode_transfer
from sinchphone.protocol.call.vocabulary import TellClientEvent

TAKEN_S: Final = 5.0  # for the other side to say that it has begun
OVER_S: Final = 90.0  # for the new call to be answered


class Transfer:
    """Of one call."""

    def __init__(self, driver: MachineDriver) -> None:
        self._driver = driver
        self._news: asyncio.Queue[TransferNews | None] | None = None

    async def ask(self, to: str, replaces: str = "") -> None:
        """Have the peer call ``to``, in place of our call there of that id; returns when that was answered, or the peer has left for it.
        Raises TransferError and LocalProtocolError."""
        if not 0 < len(to) <= MAX_TO or not to.isprintable():
            raise LocalProtocolError("a transfer leads to a user, a number or a SIP address")
        if self._news is not None:
            raise LocalProtocolError("another transfer of this call is under way")
        news = self._news = asyncio.Queue()
        told, clock = TransferNews(0), asyncio.get_running_loop().time
        deadline, is_taken = clock() + TAKEN_S, False
        try:
            self._driver.put(TellClientEvent(encode_transfer(TransferWish(to, replaces))))
            while told.status < 200:
                async with asyncio.timeout_at(deadline):
                    heard = await news.get()
                if heard is None:
                    return
                if not is_taken:
                    deadline, is_taken = clock() + OVER_S, True
                told = heard
        except TimeoutError as error:
            if not is_taken:
                hint = "sinchphones and SIP phones take them, official clients don't"
                raise TransferError("the other side takes no transfers", status=501, hint=hint) from error
            raise TransferError(NO_TRANSFER_NEWS, status=408) from error
        finally:
            self._news = None
        if told.status >= 300:
            raise TransferError(f"{to} was not reached: {told.reason or told.status}", status=told.status)

    def heard(self, news: TransferNews) -> None:
        """What the peer tells of it."""
        if self._news is not None:
            self._news.put_nowait(news)

    def ended(self) -> None:
        """The call is over: the peer has left, for the other call as it seems."""
        if self._news is not None:
            self._news.put_nowait(None)
