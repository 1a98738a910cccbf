"""Where registered instances are kept between runs, so that a device stays the same device.

::

    FileInstanceStore(directory)         device-id                  generated once
        claim(InstanceKey) -> Slot       instance-<hash>-<n>.json   one registered instance
                                         instance-<hash>-<n>.lock   held while a process uses it

A slot is one device of one user. The first process of a user takes slot 1; a second one that runs at the same time takes slot 2
and is another device of that user, since two processes can't share one instance: they'd answer each other's calls.
"""

import base64
import errno
import hashlib
import json
import os
import re
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Final, Protocol

from sinchphone.errors import ConfigError, RemoteProtocolError
from sinchphone.folders import FOLDER_HINT
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Instance
from sinchphone.signaling.fields import Record, write_json

MAX_SLOTS = 32  # processes of one user at the same time
MAX_FILE_BYTES = 64 * 1024

_DEVICE_ID = re.compile(r"[A-Za-z0-9._-]{8,100}")


@quick_dataclass(frozen=True, slots=True)
class InstanceKey:
    """Whose instances: a user of an application on a platform (its base URL)."""

    platform: str
    application_key: str
    user_id: str


@quick_dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance as it was registered. ``issued_at`` (registered or prolonged last, seconds since the epoch) and its expiry give
    its lifetime; ``software`` says which program registered it, where that is known."""

    instance: Instance
    issued_at: float
    software: str = ""


class Slot(Protocol):
    """The claim on one device's registration, until it's released. Methods may block on the disk."""

    @property
    def device_id(self) -> str:
        """The device's id, the same in every run."""

    def load(self) -> StoredInstance | None:
        """The stored instance, None where there is none that can be read."""

    def save(self, stored: StoredInstance) -> None:
        """Store the instance. Raises ConfigError where the disk refuses."""

    def forget(self) -> None:
        """Drop the stored instance."""

    def release(self) -> None:
        """Let another process have the slot; releasing twice is harmless."""


class InstanceStore(Protocol):
    """Keeps instances."""

    def claim(self, key: InstanceKey) -> Slot:
        """The first free slot of a user. Raises ConfigError where there's none."""


class MemoryInstanceStore:
    """Keeps instances as long as the object lives."""

    def __init__(self, first: StoredInstance | None = None) -> None:
        """``first`` is in the first slot that is claimed."""
        self._first = first
        self._device_id = str(uuid.uuid4()) if first is None else first.instance.device_id
        self._stored: dict[tuple[InstanceKey, int], StoredInstance] = {}
        self._claimed: set[tuple[InstanceKey, int]] = set()

    def claim(self, key: InstanceKey) -> Slot:
        """The first free slot of a user."""
        number = next(number for number in range(1, len(self._claimed) + 2) if (key, number) not in self._claimed)
        self._claimed.add((key, number))
        if self._first is not None:
            self._stored[key, number], self._first = self._first, None
        return _MemorySlot(_numbered(self._device_id, number), (key, number), self._stored, self._claimed)


class _MemorySlot:
    def __init__(
        self,
        device_id: str,
        place: tuple[InstanceKey, int],
        stored: dict[tuple[InstanceKey, int], StoredInstance],
        claimed: set[tuple[InstanceKey, int]],
    ) -> None:
        self._device_id = device_id
        self._place = place
        self._stored = stored
        self._claimed = claimed
        self._released = False

    @property
    def device_id(self) -> str:
        return self._device_id

    def load(self) -> StoredInstance | None:
        return self._stored.get(self._place)

    def save(self, stored: StoredInstance) -> None:
        self._stored[self._place] = stored

    def forget(self) -> None:
        self._stored.pop(self._place, None)

    def release(self) -> None:
        if not self._released:
            self._claimed.discard(self._place)
        self._released = True


class FileInstanceStore:
    """Keeps instances in files of a directory, which only this user can read; a file is there whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def claim(self, key: InstanceKey) -> Slot:
        """The first slot of a user that no running process holds. Raises ConfigError where the directory can't be used."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            device_id = self._read_device_id()
            name = hashlib.sha256(json.dumps([key.platform, key.application_key, key.user_id]).encode()).hexdigest()[:32]
            for number in range(1, MAX_SLOTS + 1):
                stem = self._directory / f"instance-{name}-{number}"
                lock = _lock(stem.with_suffix(".lock"))
                if lock is not None:
                    return _FileSlot(_numbered(device_id, number), stem.with_suffix(".json"), key, lock)
        except OSError as error:
            raise _unusable(self._directory, error) from error
        raise ConfigError(f"{MAX_SLOTS} programs are running for this user already", hint="end some of them")

    def _read_device_id(self) -> str:
        path = self._directory / "device-id"
        text = _read(path).decode(errors="replace").strip()
        if not _DEVICE_ID.fullmatch(text):
            text = str(uuid.uuid4())
            _write(path, f"{text}\n".encode())
        return text


class _FileSlot:
    def __init__(self, device_id: str, path: Path, key: InstanceKey, lock: int) -> None:
        self._device_id = device_id
        self._path = path
        self._key = key
        self._lock: int | None = lock

    @property
    def device_id(self) -> str:
        return self._device_id

    def load(self) -> StoredInstance | None:
        try:
            record = Record.parse(_read(self._path))
            expire_at = record.number("expireAt") if record.has("expireAt") else None
            instance = Instance(record.token("id"), record.base64("secret"), self._key.user_id, self.device_id, expire_at)
            return StoredInstance(instance, record.number("issuedAt"), record.optional_text("software") or "")
        except RemoteProtocolError:  # empty, cut short or of another version: it's registered anew
            return None
        except OSError as error:
            raise _unusable(self._path, error) from error

    def save(self, stored: StoredInstance) -> None:
        instance = stored.instance
        members = {
            "platform": self._key.platform,
            "applicationKey": self._key.application_key,
            "userId": instance.user_id,
            "id": instance.id,
            "secret": base64.b64encode(instance.secret).decode(),
            "expireAt": instance.expire_at,
            "issuedAt": stored.issued_at,
            "software": stored.software,
        }
        try:
            _write(self._path, write_json(members))
        except OSError as error:
            raise _unusable(self._path, error) from error

    def forget(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self._path, error) from error

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)  # which gives the lock up; the file stays, since removing it would race with another claim
        self._lock = None


def _numbered(device_id: str, number: int) -> str:
    return device_id if number == 1 else f"{device_id}-{number}"


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} can't be used: {error.strerror or error}", hint=FOLDER_HINT)


def _read(path: Path) -> bytes:
    """The file's content, empty where there's no file."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except FileNotFoundError:
        return b""


def _write(path: Path, content: bytes) -> None:
    """Write the file, mode 0600, so that it's there whole or not at all."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # its mode is 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


_NO_LOCKS: Final = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)  # of file systems that have none


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock of a file, None where another process (or claim) has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if sys.platform == "win32":
        return descriptor
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            os.close(descriptor)
            raise
    return descriptor


def is_prolonging_due(stored: StoredInstance, now: float, window_s: float) -> bool:
    """Whether an instance should be prolonged ``now`` (Ocra, instance lifetime): within ``window_s`` of its end, or, where its
    whole lifetime is shorter than that, after half of it."""
    expire_at = stored.instance.expire_at
    if expire_at is None:
        return False
    lifetime_s = expire_at - stored.issued_at
    return expire_at - now < (lifetime_s / 2 if lifetime_s < window_s else window_s)
