"""What a program asks of its own exchange, and tells it, beside calling: the text messages that came, and more under ``/__sinchphone``."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from sinchphone.errors import PlatformError, RemoteProtocolError
from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.management_paths import FAULTS_PATH, SMS_PATH, USERS_PATH
from sinchphone.exchange.options import MANAGEMENT_PATH
from sinchphone.exchange.sms.inbox import MAX_MESSAGES, MAX_TEXT_CHARACTERS, TextMessage
from sinchphone.local.signed_requests import SignedRequests
from sinchphone.local.simulated_calls import SimulatedCall, read_sound_file
from sinchphone.protocol.auth import decode_secret
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record
from sinchphone.signaling.services.sms import SmsApi

Told = TypeVar("Told")

_MOST_USERS: Final = 100_000
_CHARACTER_BYTES: Final = 6  # of a control character in JSON, \u0001; no other takes more
_MOST_TEXT_BYTES: Final = MAX_MESSAGES * (_CHARACTER_BYTES * MAX_TEXT_CHARACTERS + 2048)  # with the sender and what else is told of each
_RESET_SECONDS: Final = 15.0


@quick_dataclass(frozen=True, slots=True)
class KnownUser:
    """A user of an exchange. ``account``: was made, and doesn't come by tokens alone; so many ``devices``, some ``listening``."""

    user_id: str
    email: str | None
    number: str | None
    account: bool
    devices: int
    listening: int

    @classmethod
    def read(cls, told: Record) -> Self:
        """Raises RemoteProtocolError."""
        devices = told.records("devices")
        listening = sum(one.flag("listening", default=False) for one in devices)
        names = told.optional_text("email"), told.optional_text("number")
        return cls(told.text("userId"), *names, told.flag("account", default=False), len(devices), listening)


@quick_dataclass(frozen=True, slots=True)
class ExchangeManagement:
    """Asks one exchange. Methods raise NetworkError and PlatformError, and are safe to cancel."""

    requests: SignedRequests

    @property
    def token(self) -> str:
        """What stands for the application's secret where a request can't be signed."""
        return management_token(decode_secret(self.requests.credentials.secret))

    @contextlib.asynccontextmanager
    async def sms_api(self) -> AsyncIterator[SmsApi]:
        """The exchange's SMS API: it takes texts for numbers and keeps them, and nobody's phone gets any."""
        async with SmsApi.open(self.requests.url, self.requests.credentials.key, self.token) as api:
            yield api

    async def texts(self, number: str | None = None) -> list[TextMessage]:
        """The text messages that came for that number, or for all, oldest first."""
        query = f"number={quote(number, safe='')}" if number else ""
        body = await self.requests.ask("GET", SMS_PATH, query=query, most_bytes=_MOST_TEXT_BYTES)
        return _read("text messages", lambda: [_text(one) for one in Record.parse(body).records("messages", limit=MAX_MESSAGES)])

    async def clear_texts(self) -> int:
        """Have them forgotten; how many they were."""
        body = await self.requests.ask("DELETE", SMS_PATH)
        return _read("text messages", lambda: int(Record.parse(body).number("cleared")))

    async def users(self) -> list[KnownUser]:
        """Everybody whom the exchange knows."""
        body = await self.requests.ask("GET", USERS_PATH)
        return _read("users", lambda: [KnownUser.read(one) for one in Record.parse(body).records("users", limit=_MOST_USERS)])

    async def add_user(
        self, user_id: str, *, email: str | None = None, number: str | None = None, password: str | None = None
    ) -> KnownUser:
        """A new user, found by e-mail address and number too; without ``password`` they come by tokens alone. Raises PlatformError, and
        ConflictError where there's one of such a name."""
        members = {"userId": user_id, "email": email, "number": number, "password": password}
        body = await self.requests.ask("POST", USERS_PATH, members)
        return _read("users", lambda: KnownUser.read(Record.parse(body)))

    async def remove_user(self, user_id: str) -> None:
        """Have a user forgotten, with devices and password. Raises NotFoundError."""
        await self.requests.ask("DELETE", f"{USERS_PATH}/{quote(user_id, safe='')}")

    async def dial(
        self,
        number: str,
        caller: str,
        *,
        play: Path | None = None,
        tone_hz: float | None = None,
        digits: str = "",
        talk_s: float | None = None,
        ring_s: float | None = None,
    ) -> SimulatedCall:
        """Have a simulated phone with the number ``caller`` ("private" withholds it) call a number of the exchange's: the backend is asked,
        or the dial plan, or the user who has it rings. After the answer it plays the file ``play``, then the tone or silence, and presses
        ``digits``; it hangs up after ``talk_s``, or at the file's end where neither that nor a tone is given. Raises AudioFileError too."""
        members: dict[str, Any] = {"to": number, "from": caller, "tone": tone_hz, "digits": digits or None, "seconds": talk_s}
        members |= {"ringSeconds": ring_s, "endAfterSound": play is not None and talk_s is None and tone_hz is None}
        if play is not None:
            members["sound"] = await asyncio.to_thread(read_sound_file, play)
        return await SimulatedCall.place(self.requests, members)

    async def reset(self) -> None:
        """Have the exchange be as if it had just been started for the first time: calls end, users and all that came are forgotten."""
        await self.requests.ask("POST", f"{MANAGEMENT_PATH}/reset", {}, seconds=_RESET_SECONDS)

    async def add_fault(
        self,
        path: str,
        *,
        method: str = "",
        status: int | None = None,
        body: Any = None,
        delay: float = 0.0,
        drop: bool = False,
        times: int | None = 1,
    ) -> str:
        """Have requests whose path fits (``*`` is anything) answered with ``status`` (and ``body``, JSON), ``delay`` seconds later, or
        their connections dropped, so many ``times``; None: until ``clear_faults``. Its id."""
        members = {"path": path, "method": method or None, "status": status, "body": body, "delayMs": round(delay * 1000) or None}
        told = await self.requests.ask("POST", FAULTS_PATH, {**members, "drop": drop or None, "times": times})
        return _read("faults", lambda: Record.parse(told).token("id"))

    async def clear_faults(self) -> int:
        """Have all requests served as ever; how many faults were left."""
        told = await self.requests.ask("DELETE", FAULTS_PATH)
        return _read("faults", lambda: int(Record.parse(told).number("removed")))


def _read(what: str, read: Callable[[], Told]) -> Told:
    try:
        return read()
    except RemoteProtocolError as error:
        raise PlatformError(f"the exchange's {what} can't be read: {error}") from error


def _text(told: Record) -> TextMessage:
    return TextMessage(
        id=told.token("id"),
        batch=told.token("batchId"),
        sender=told.optional_text("from"),
        number=told.text("to"),
        text=told.optional_text("text", limit=MAX_TEXT_CHARACTERS) or "",
        at=told.time("at"),
    )
