"""An exchange of a test's own: on a free port, with nobody in it, gone with the test."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sinchphone.engine.client import SinchClient
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.exchange.sms.inbox import TextMessage
from sinchphone.local.environment import Local
from sinchphone.media.thread import MediaThread
from sinchphone.testing.dialled import DialledCall
from sinchphone.testing.loop_thread import LOOK_S, LoopThread
from sinchphone.testing.phone import CallingPhone


class OwnExchange:
    """What ``sinchphone_exchange`` gives. Everything is asked over HTTP, as from any other process."""

    def __init__(self, folder: Path, thread: LoopThread, media: MediaThread, seconds: float, backend: str | None = None) -> None:
        """``backend``: the URL that is asked where calls go; ``seconds``: how long assertions wait, where they aren't told."""
        self._folder = folder
        self._thread = thread
        self._media = media
        self._seconds = seconds
        self._hosted = Local(folder, port=0, media=media, backend=backend, keep=False)
        self._phones: list[CallingPhone] = []

    def open(self) -> "OwnExchange":
        """Host it."""
        self._thread.run(self._hosted.open())
        return self

    def close(self) -> None:
        """End its phones and itself, each whether or not another could be ended; raises what the last raised that couldn't."""
        with ExitStack() as stack:
            stack.callback(lambda: self._thread.run(self._hosted.close()))
            for phone in self._phones:
                stack.callback(phone.close)

    @property
    def url(self) -> str:
        """Where its REST APIs are."""
        return self._hosted.url

    @property
    def application_key(self) -> str:
        """Of the one application that it serves."""
        return self._hosted.application_key

    @property
    def secret(self) -> str:
        """That application's secret (base64)."""
        return self._hosted.secret

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a program that uses Sinch, in the names of Sinch's own tools, with the exchange in place of the platform."""
        return {
            "SINCH_APPLICATION_KEY": self.application_key,
            "SINCH_APPLICATION_SECRET": self.secret,
            "SINCH_SERVICE_PLAN_ID": self.application_key,
            "SINCH_SMS_TOKEN": self.secret,
            "SINCHPHONE_HOST": self.url,
        }

    def local(self) -> Local:
        """An environment for clients of your own, in the loop of an ``async`` test: ``async with exchange.local() as local``."""
        credentials = ApplicationCredentials(self.application_key, self.secret)
        return Local(self._folder, port=int(self.url.rpartition(":")[2]), application=credentials)

    def phone(self, user_id: str) -> CallingPhone:
        """A registered phone of that user."""
        phone = CallingPhone(SinchClient(user_id, self._hosted, media=self._media), self._thread, self._seconds)
        self._phones.append(phone.open())
        return phone

    def dial(
        self,
        number: str,
        caller: str,
        *,
        play: str | Path | None = None,
        tone_hz: float | None = None,
        digits: str = "",
        talk_s: float | None = None,
        ring_s: float | None = None,
    ) -> DialledCall:
        """Have a simulated phone with the number ``caller`` ("private" withholds it) call a number of the exchange's, as somebody outside
        would: the backend is asked, or the user who has the number rings. After the answer it plays a file, then a tone or silence,
        presses ``digits``, and hangs up after ``talk_s``, or at the file's end where neither that nor a tone is given."""
        file = Path(play) if play is not None else None
        wish = self._hosted.management.dial(number, caller, play=file, tone_hz=tone_hz, digits=digits, talk_s=talk_s, ring_s=ring_s)
        return DialledCall(self._thread.run(wish), number, self._thread, self._seconds)

    def texts(self, number: str | None = None) -> list[TextMessage]:
        """The text messages that came for that number, or for all, oldest first."""
        return self._thread.run(self._hosted.management.texts(number))

    def expect_text(self, number: str, within: float | None = None) -> TextMessage:
        """The newest text message for that number, as soon as there is one. Raises AssertionError where none comes."""
        seconds = self._seconds if within is None else within
        deadline = time.monotonic() + seconds
        while not (found := self.texts(number)):
            if time.monotonic() >= deadline:
                raise AssertionError(f"no text message came for {number} within {seconds:g} s")
            time.sleep(LOOK_S)
        return found[-1]

    def add_user(self, user_id: str, *, email: str | None = None, number: str | None = None, password: str | None = None) -> None:
        """A user with more names, and a password where one is wanted."""
        self._thread.run(self._hosted.management.add_user(user_id, email=email, number=number, password=password))

    def add_fault(self, path: str, **fault: Any) -> str:
        """Have requests fail: ``status``, ``body``, ``delay`` [s], ``drop``, ``method``, ``times`` (1; None: until ``clear_faults``)."""
        return self._thread.run(self._hosted.management.add_fault(path, **fault))

    def clear_faults(self) -> int:
        """Have all requests served as ever; how many faults were left."""
        return self._thread.run(self._hosted.management.clear_faults())

    def reset(self) -> None:
        """As if it had just been started: calls end, users and all that came are forgotten."""
        self._thread.run(self._hosted.management.reset())
