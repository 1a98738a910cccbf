"""coturn on loopback, for one test."""

import asyncio
import base64
import hashlib
import hmac
import shutil
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sinchphone.exchange.tls import Issued
from sinchphone.hosts import bracketed

PROGRAM = "turnserver"
MISSING = "needs the package coturn (turnserver)"
SECRET = "north"
USER, PASSWORD = "u", "p"
PATIENCE_S = 15.0


@dataclass(frozen=True)
class Turn:
    """A server that listens."""

    port: int
    tls_port: int
    address: str = "127.0.0.1"

    def url(self, transport: str) -> str:
        host = bracketed(self.address)
        if transport == "tls":
            return f"turns:{host}:{self.tls_port}?transport=tcp"
        return f"turn:{host}:{self.port}?transport={transport}"


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


def short_lived(user: str, seconds: float = 600) -> tuple[str, str]:
    """User name and password for a server with the shared secret (draft-uberti-behave-turn-rest)."""
    name = f"{int(time.time() + seconds)}:{user}"
    return name, base64.b64encode(hmac.new(SECRET.encode(), name.encode(), hashlib.sha1).digest()).decode()


@asynccontextmanager
async def a_turn_server(
    folder: Path, issued: Issued, *, rest: bool = False, address: str = "127.0.0.1", turn: Turn | None = None
) -> AsyncIterator[Turn]:
    """``turn``: where one was before, that is started again."""
    turn = turn or Turn(free_port(), free_port(), address)
    auth = ["--use-auth-secret", f"--static-auth-secret={SECRET}"] if rest else ["--lt-cred-mech", f"--user={USER}:{PASSWORD}"]
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *_options(turn, folder, issued), *auth, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listens(turn.address, turn.port)
        await _listens(turn.address, turn.tls_port)
        yield turn
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE_S)


def _options(turn: Turn, folder: Path, issued: Issued) -> Sequence[str]:
    first = free_port()
    return [
        "-n",
        f"--listening-ip={turn.address}",
        f"--relay-ip={turn.address}",
        f"--listening-port={turn.port}",
        f"--tls-listening-port={turn.tls_port}",
        "--realm=test",
        "--fingerprint",
        f"--cert={issued.certificate.chain}",
        f"--pkey={issued.certificate.key}",
        f"--min-port={min(first, 60_000)}",
        f"--max-port={min(first, 60_000) + 200}",
        "--allow-loopback-peers",
        "--no-cli",
        "--log-file=stdout",
        f"--pidfile={folder / 'pid'}",
        f"--userdb={folder / 'users'}",
    ]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def _listens(address: str, port: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
