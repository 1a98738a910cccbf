"""What became of each thing that the command line asked for in a call: done, cut short by the end, or failed.

::

    sound events, digits ---> Outcomes ---> one RequestOutcome each, and the exit code where the end of the call alone would say 0
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from sinchphone.cli.endings import Ending, Order
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.output.events.events import Outcome, RequestKind, RequestOutcome
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.media.sound import SoundEvent

ENDS_OF_THE_USER: Final = frozenset({Order.KEY, Order.INTERRUPT, Order.TIME_UP, Order.DECLINED, Order.CONTROL, Order.TRANSFERRED})
_NOT_IN_PLACE: Final = "it is not in its place"
_NOTHING_CAME: Final = "no sound came from it"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What was asked for. Paths as they were written; ``dtmf``: digits for after the answer."""

    play: Sequence[str] = ()
    say: str | None = None
    record: str | None = None
    video_record: str | None = None
    pipe_in: str | None = None
    pipe_out: str | None = None
    dtmf: str | None = None


class Outcomes:
    """Of one call. ``judge`` is asked once, when its sound is closed."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._played: list[str | None] = []  # of the files that are over, in order: why they failed
        self._recorded: str | None = None
        self._seen: str | None = None  # the recording of pictures
        self._seen_failure: str | None = "there were no pictures"
        self._record_failure: str | None = _NOT_IN_PLACE
        self._piped: dict[RequestKind, tuple[int, str | None]] = {}  # bytes, and why no more
        self._said: bool | str = False  # whether to its end, or why not
        self._digits_sent = False
        self._digits_failure: str | None = None
        self._hints: dict[str, str] = {}  # what to do, by the words of the warnings that said what failed

    def take(self, event: "SoundEvent") -> None:
        """Something happened to the sound."""
        from sinchphone.media import sound as s

        match event:
            case s.PlayFinished(failure=failure):
                self._played.append(failure)
            case s.RecordFinished(path=path, seconds=_, failure=failure):
                self._recorded, self._record_failure = path, failure
            case s.PipeEnded(path=_, outward=outward, bytes=count, failure=failure):
                self._piped[RequestKind.PIPE_OUT if outward else RequestKind.PIPE_IN] = count, failure
            case s.SoundWarning(message=message, hint=hint):
                self._hints[message] = hint
            case s.PlayStarted() | s.RecordStarted() | s.PipeStarted() | s.DevicesChanged():
                pass
            case _:
                assert_never(event)

    def recording_pictures(self) -> None:
        """There are some."""
        self._seen_failure = _NOT_IN_PLACE

    def recorded_pictures(self, path: str, failure: str | None) -> None:
        """The recording of pictures is in its place."""
        self._seen, self._seen_failure = path, failure

    def said(self, failure: str | None = None, *, cut_short: bool = False) -> None:
        """The text was spoken, or not."""
        self._said = failure or not cut_short

    def digits_over(self, failure: str | None) -> None:
        """The digits were sent, or refused."""
        self._digits_sent, self._digits_failure = failure is None, failure

    def judge(self, call_id: str, ending: Ending, order: Order | None, *, established: bool) -> tuple[list[RequestOutcome], Ending]:
        """Each outcome, and the ending with the exit code that they make. What wasn't reached because the call wasn't established has
        the call's own code; what the user's own end cut off stays as that end is. What failed by itself has the hint of its own
        warning, if any: the call's end doesn't explain it."""
        told = [one for one in self._each(call_id, ending.reason) if established or one.outcome is Outcome.FAILED]
        if not established:
            told += [
                replace(one, outcome=Outcome.CUT_SHORT, reason=ending.reason)
                for one in self._each(call_id, ending.reason)
                if one.outcome is not Outcome.FAILED
            ]
        missed = next((one for one in told if self._counts(one, order)), None)
        if ending.code is not ExitCode.OK or missed is None or not established:
            return told, ending
        hint = ending.hint if missed.outcome is Outcome.CUT_SHORT else self._hints.get(missed.reason or "")
        return told, Ending(ExitCode.NOT_DONE, words_of(missed), hint or None)

    def _counts(self, one: RequestOutcome, order: Order | None) -> bool:
        return one.outcome is Outcome.FAILED or (one.outcome is Outcome.CUT_SHORT and order not in ENDS_OF_THE_USER)

    def _each(self, call_id: str, end: str) -> list[RequestOutcome]:
        asked = self._requests
        told = [
            self._told(call_id, RequestKind.PLAY, path, number < len(self._played), self._play_failure(number), end)
            for number, path in enumerate(asked.play)
        ]
        if asked.say is not None:
            failure = self._said if isinstance(self._said, str) else None
            told.append(self._told(call_id, RequestKind.SAY, asked.say, self._said is not False, failure, end))
        if asked.dtmf is not None:
            over = self._digits_sent or self._digits_failure is not None
            told.append(self._told(call_id, RequestKind.DTMF, asked.dtmf, over, self._digits_failure, end))
        if asked.record is not None:
            told.append(self._told(call_id, RequestKind.RECORD, self._recorded or asked.record, True, self._record_failure, end))
        if asked.video_record is not None:
            told.append(self._told(call_id, RequestKind.VIDEO_RECORD, self._seen or asked.video_record, True, self._seen_failure, end))
        for kind, path in ((RequestKind.PIPE_IN, asked.pipe_in), (RequestKind.PIPE_OUT, asked.pipe_out)):
            if path is not None:
                count, failure = self._piped.get(kind, (0, None))
                nothing = _NOTHING_CAME if kind is RequestKind.PIPE_IN and not count else None
                told.append(self._told(call_id, kind, path, True, failure or nothing, end))
        return told

    def _play_failure(self, number: int) -> str | None:
        return self._played[number] if number < len(self._played) else None

    def _told(self, call_id: str, kind: RequestKind, name: str, over: bool, failure: str | None, end: str) -> RequestOutcome:
        outcome = Outcome.CUT_SHORT if not over else Outcome.DONE if failure is None else Outcome.FAILED
        reason = end if outcome is Outcome.CUT_SHORT else failure
        return RequestOutcome(call_id=call_id, kind=kind, name=name, outcome=outcome, reason=reason)


def words_of(one: RequestOutcome) -> str:
    """What wasn't done, for a person."""
    verbs = {
        RequestKind.PLAY: "was not played to its end",
        RequestKind.SAY: "was not said to its end",
        RequestKind.DTMF: "was not dialled",
        RequestKind.RECORD: "was not recorded as a whole",
        RequestKind.VIDEO_RECORD: "was not recorded as a whole",
        RequestKind.PIPE_IN: "was not heard",
        RequestKind.PIPE_OUT: "did not get all that was heard",
    }
    name = "standard input" if one.name == "-" and one.kind is RequestKind.PLAY else "the text" if one.kind is RequestKind.SAY else one.name
    return f"{name} {verbs[one.kind]}: {one.reason}"
