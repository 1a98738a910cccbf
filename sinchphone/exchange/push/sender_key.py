"""The key pair that the exchange proves its pushes with (VAPID): made when it's first needed, kept beside the store, its owner's alone."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

from sinchphone.database import hint_of, reason_of
from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.store.store import StoreError
from sinchphone.protocol.webpush.keys import RANDOM_KEY_BYTES, KeyPair, read_base64, write_base64

FILE_NAME: Final = "push-key"


Agree: TypeAlias = Callable[[str, str], Awaitable[str]]  # a name and what it could be: what it is, for all processes


class SenderKey:
    """The key pair of one exchange. Several processes that use one folder have the same."""

    def __init__(self, folder: Path | None, agree: Agree | None = None) -> None:
        """``folder`` keeps it, or the processes of an exchange ``agree``; without both there is another one in each exchange."""
        self._path = folder / FILE_NAME if folder is not None else None
        self._agree = agree
        self._pair: KeyPair | None = None
        self._reading = asyncio.Lock()

    async def pair(self) -> KeyPair:
        """The pair. Raises StoreError where it can't be kept or read."""
        async with self._reading:
            if self._pair is None:
                pair = await asyncio.to_thread(_read_or_make, self._path)
                self._pair = await self._agreed(pair, self._agree) if self._agree is not None else pair
            return self._pair

    async def _agreed(self, made: KeyPair, agree: Agree) -> KeyPair:
        text = await agree(FILE_NAME, write_base64(made.private_bytes))
        try:
            return KeyPair.from_private_bytes(read_base64(text, FILE_NAME))
        except (RemoteProtocolError, ValueError) as error:
            raise StoreError("what the exchange's processes share is no key for pushes", hint="delete it from Redis") from error


def _read_or_make(path: Path | None) -> KeyPair:
    made = KeyPair.from_random(secrets.token_bytes(RANDOM_KEY_BYTES))
    if path is None:
        return made
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _write_new(path, made)
        path.chmod(0o600)
        return KeyPair.from_private_bytes(read_base64(path.read_text("ascii"), path.name))
    except OSError as error:
        raise StoreError(f"{path} can't be used: {reason_of(error)}", hint=hint_of(error)) from error
    except (RemoteProtocolError, ValueError) as error:
        raise StoreError(f"{path} is no key for pushes", hint="delete it: devices then subscribe to pushes anew") from error


def _write_new(path: Path, pair: KeyPair) -> None:
    """All of it or nothing, and never over another one. Raises FileExistsError."""
    if path.exists():
        return
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(write_base64(pair.private_bytes))
        os.link(new, path)
    finally:
        new.unlink()
