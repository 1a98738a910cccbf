"""The local application's key and secret: made at first use, kept in a file that only its owner can read."""

import base64
import json
import os
import secrets
import stat
import time
import uuid
from pathlib import Path

from sinchphone.errors import ConfigError
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.folders import FOLDER_HINT
from sinchphone.protocol.auth import decode_secret

FILE_NAME = "local-application.json"
SECRET_BYTES = 32
_MAX_FILE_BYTES = 4096
_EMPTY_SECONDS = 0.5


def local_credentials(folder: Path) -> ApplicationCredentials:
    """The credentials kept in ``folder``, made now if there are none. Of several processes that make them at the same time, all
    get the same. Raises ConfigError where the file can't be used or others may read it."""
    path = folder / FILE_NAME
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as error:
        raise ConfigError(f"{path} can't be used: {error.strerror}", hint=FOLDER_HINT) from error


def _create(path: Path) -> None:
    """Write complete credentials under a name of our own, then link them into place: only the first link succeeds."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    secret = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    try:
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"key": str(uuid.uuid4()), "secret": secret}, file)
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(own, path)
    except FileExistsError:
        return  # another process was faster: its credentials are as good
    finally:
        own.unlink(missing_ok=True)


def _put_in_place(own: Path, path: Path) -> None:
    """Raises FileExistsError where there is one already."""
    try:
        path.hardlink_to(own)
    except FileExistsError:
        raise
    except OSError:  # some file systems have no links (FAT, some network drives): whoever makes the file writes it at once
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
            file.write(own.read_bytes())
            os.fsync(file.fileno())


def _read(path: Path) -> ApplicationCredentials:
    with path.open(encoding="utf-8") as file:
        mode = os.fstat(file.fileno()).st_mode
        text = file.read(_MAX_FILE_BYTES)
        deadline = time.monotonic() + _EMPTY_SECONDS
        while not text and time.monotonic() < deadline:  # another process has made it, and writes
            time.sleep(0.01)
            text = file.read(_MAX_FILE_BYTES)
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others than its owner", hint=f"run: chmod 600 {path}")
    unusable = ConfigError(f"{path} doesn't hold the local application", hint="delete it; a new one is made at the next start")
    try:
        fields = json.loads(text)
        key, secret = fields["key"], fields["secret"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise unusable from error
    if not isinstance(key, str) or not isinstance(secret, str) or not key:
        raise unusable
    try:
        decode_secret(secret)
    except ConfigError as error:
        raise unusable from error
    return ApplicationCredentials(key, secret)
