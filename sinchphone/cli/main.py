"""The entry point: takes the signals before it imports anything, then runs the command line."""

from sinchphone.cli import signals


def main() -> None:
    """``sinchphone``."""
    signals.take()
    import sys
    from importlib import import_module

    from sinchphone.cli.terminal import gc_tuning

    gc_tuning.put_off()
    import_module("sinchphone.cli.app")
    from sinchphone.cli.command_line import command_line
    from sinchphone.cli.terminal.streams import fill_closed_streams, flush_and_leave, wait_for_readers

    fill_closed_streams()
    wait_for_readers()
    try:
        code = command_line(sys.argv[1:])
    finally:
        signals.forget()
    signals.react(lambda _: flush_and_leave(code))
    gc_tuning.leave()
    sys.exit(code)
