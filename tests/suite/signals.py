"""Signals as a program has them that a shell starts in the foreground."""

import signal
from types import FrameType

# Python ignores these itself, and gives them back to programs that it starts.
PYTHONS_OWN = {getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)}


def reset_ignored_signals() -> None:
    """Have programs that tests start begin with default dispositions, where this one inherited that a signal is ignored (from ``nohup``,
    say). Here it goes on being ignored, by a handler that does nothing: exec puts back what is handled, but not what is ignored.
    """
    for number in signal.valid_signals() - PYTHONS_OWN:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _do_nothing)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass
