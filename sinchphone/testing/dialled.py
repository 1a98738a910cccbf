"""A call that a simulated phone makes to a number of the exchange's, as a test uses it: without await, with a time limit on everything."""

import time
from collections.abc import Callable

from sinchphone.exchange.destinations.backend_calls import SimulatedCallState, SimulatedCallStatus
from sinchphone.local.simulated_calls import SimulatedCall
from sinchphone.testing.loop_thread import LOOK_S, LoopThread


class DialledCall:
    """Assertions wait, and raise AssertionError with a sentence where what they wait for doesn't come."""

    def __init__(self, call: SimulatedCall, number: str, thread: LoopThread, seconds: float) -> None:
        """``seconds``: how long an assertion waits, where it isn't told."""
        self.number = number
        self._call = call
        self._thread = thread
        self._seconds = seconds

    def __repr__(self) -> str:
        return f"<simulated call to {self.number}, {self._call.news.state.value}>"

    @property
    def news(self) -> SimulatedCallStatus:
        """How far it is now: ``state``, ``failure``, ``digits``, ``talked_s``, ``heard_s``."""
        return self._thread.run(self._call.look())

    def answered(self, within: float | None = None) -> "DialledCall":
        """Somebody picked up. Gives the call."""
        news = self._until(lambda news: news.talked_s is not None or news.state is SimulatedCallState.ENDED, within)
        if news.talked_s is None:
            raise AssertionError(f"the call to {self.number} was not answered: {_stands(news)}")
        return self

    def heard_digits(self, digits: str, within: float | None = None) -> None:
        """The other side has pressed these keys, since the call began."""
        news = self._until(lambda news: digits in news.digits or news.state is SimulatedCallState.ENDED, within)
        if digits not in news.digits:
            raise AssertionError(f"the digits {digits} did not come from {self.number}, but {news.digits or 'none'}: {_stands(news)}")

    def ended(self, status: int | None = None, within: float | None = None) -> SimulatedCallStatus:
        """It is over, refused or broken off with SIP's ``status`` where one is given; how it went."""
        news = self._until(lambda news: news.state is SimulatedCallState.ENDED, within)
        if news.state is not SimulatedCallState.ENDED:
            raise AssertionError(f"the call to {self.number} did not end: {_stands(news)}")
        if status is not None and (news.failure is None or news.failure[0] != status):
            raise AssertionError(f"the call to {self.number} ended otherwise than with {status}: {_stands(news)}")
        return news

    def hang_up(self) -> None:
        """End it, and wait until it has ended."""
        self._thread.run(self._call.hang_up())
        self.ended()

    def _until(self, is_enough: Callable[[SimulatedCallStatus], bool], within: float | None) -> SimulatedCallStatus:
        """What there is then, or when the time is up."""
        deadline = time.monotonic() + (self._seconds if within is None else within)
        while not is_enough(news := self.news) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        return news


def _stands(news: SimulatedCallStatus) -> str:
    return f"{news.state.value}, {news.failure[0]} {news.failure[1]}" if news.failure is not None else news.state.value
