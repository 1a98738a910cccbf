"""How the process in the background begins: ``python -P -m sinchphone.local.background.process DESCRIPTOR…``.

It's given listening sockets by their descriptors, its settings on standard input, and says on standard output how its start went. It
becomes nobody's child, and belongs to no terminal, before it imports anything but what Python has in itself.
"""

import os
import sys


def main() -> None:
    """Host until that is over."""
    if os.fork():
        os._exit(0)  # who started us waits for this one, and leaves no zombie
    os.umask(0o077)
    os.chdir("/")  # keeps no file system from being unmounted
    told = sys.stdin.buffer.read().decode()
    _to_null(0, 2)

    import asyncio
    import gc

    from sinchphone.local.background.host import host

    gc.disable()  # while modules are imported: a tenth of the start
    asyncio.run(host(told, [int(word) for word in sys.argv[1:]], _answer))


def _to_null(*descriptors: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def _answer(line: str) -> None:
    """The one line for who started us, who may be gone."""
    try:
        os.write(1, line.encode())
    except OSError:
        pass
    finally:
        _to_null(1)


if __name__ == "__main__":
    main()
