"""Programs of others that tests install when they need them, into a cache folder outside of the project: once, whoever asks first."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

import platformdirs

INSTALL_S: Final = 300
FAILED_FOR_S: Final = 600.0  # a failure isn't tried again by every process of a run

SDK_MANIFEST: Final = Path(__file__).parent.parent / "interop" / "sdk" / "package.json"
LIBWEBRTC_RELEASE: Final = "0.10.0"
PUBNUB_RELEASE: Final = "10.8.0"
PYWEBPUSH_RELEASE: Final = "2.5.0"  # brings http-ece
WEB_PUSH_RELEASES: Final = {"web-push": "3.6.7", "web-push-testing": "1.2.2"}
SINCH_NODE_RELEASE: Final = "1.4.0"  # of @sinch/sdk-core; later ones don't install
SINCH_PYTHON_RELEASE: Final = "1.1.4"  # the last with voice v1 and verification
WRTC_RELEASE: Final = "0.1.0"
LIVEKIT_RELEASE: Final = "1.2.1"


class NotThereError(Exception):
    """Why a guest isn't here."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Something to install. ``install`` fills a folder that exists; it raises NotThereError, OSError or SubprocessError."""

    name: str
    install: Callable[[Path], None]


def folder_of(guest: Guest) -> Path:
    """The folder that it is installed in, perhaps just now. Raises NotThereError."""
    cache = Path(os.environ.get("SINCHPHONE_TEST_CACHE") or platformdirs.user_cache_path("sinchphone-tests"))
    folder = cache / guest.name
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with (cache / f"{guest.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "installed").exists():
                _install(guest, folder)
    return folder


def _install(guest: Guest, folder: Path) -> None:
    failed = folder / "failed"
    if failed.exists() and time.time() - failed.stat().st_mtime < FAILED_FOR_S:
        raise NotThereError(failed.read_text())
    try:
        guest.install(folder)
    except (NotThereError, OSError, subprocess.SubprocessError) as error:
        failed.write_text(f"{guest.name} can't be installed: {error}")
        raise NotThereError(failed.read_text()) from error
    (folder / "installed").touch()


def _npm(manifest: str) -> Callable[[Path], None]:
    def install(folder: Path) -> None:
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise NotThereError("needs the packages nodejs and npm")
        (folder / "package.json").write_text(manifest)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode:
            raise NotThereError(done.stderr[-500:])

    return install


def _pip(requirement: str) -> Callable[[Path], None]:
    def install(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, check=True, timeout=INSTALL_S)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", requirement]
        subprocess.run(command, capture_output=True, check=True, timeout=INSTALL_S)

    return install


def _sdk() -> Guest:
    manifest = SDK_MANIFEST.read_text()
    return Guest(f"sdk-{hashlib.sha256(manifest.encode()).hexdigest()[:16]}", _npm(manifest))


SDK: Final = _sdk()
LIBWEBRTC: Final = Guest(
    f"libwebrtc-{LIBWEBRTC_RELEASE}", _npm(json.dumps({"private": True, "dependencies": {"@roamhq/wrtc": LIBWEBRTC_RELEASE}}))
)
PUBNUB: Final = Guest(f"pubnub-{PUBNUB_RELEASE}", _pip(f"pubnub=={PUBNUB_RELEASE}"))
PYWEBPUSH: Final = Guest(f"pywebpush-{PYWEBPUSH_RELEASE}", _pip(f"pywebpush=={PYWEBPUSH_RELEASE}"))
SINCH_NODE: Final = Guest(
    f"sinch-node-{SINCH_NODE_RELEASE}", _npm(json.dumps({"private": True, "dependencies": {"@sinch/sdk-core": SINCH_NODE_RELEASE}}))
)
SINCH_PYTHON: Final = Guest(f"sinch-python-{SINCH_PYTHON_RELEASE}", _pip(f"sinch=={SINCH_PYTHON_RELEASE}"))
WEB_PUSH: Final = Guest(
    f"web-push-{'-'.join(WEB_PUSH_RELEASES.values())}", _npm(json.dumps({"private": True, "dependencies": WEB_PUSH_RELEASES}))
)
WRTC: Final = Guest(f"wrtc-{WRTC_RELEASE}", _pip(f"wrtc=={WRTC_RELEASE}"))  # libwebrtc M152
LIVEKIT: Final = Guest(f"livekit-{LIVEKIT_RELEASE}", _pip(f"livekit=={LIVEKIT_RELEASE}"))  # libwebrtc's processing of sound

NEEDED: Final = {"interop": (SDK, PUBNUB, PYWEBPUSH, WEB_PUSH, SINCH_NODE, SINCH_PYTHON), "test_libwebrtc.py": (LIBWEBRTC,)}


def needs_guests(path: PurePath) -> bool:
    """Whether tests of that file wait for guests."""
    return any(part in NEEDED for part in path.parts)


def fetch_early(paths: Iterable[PurePath]) -> threading.Thread:
    """Install what those test files will ask for in a thread, while other tests run. Who asks too early waits; who asks learns why not."""
    parts = {part for path in paths for part in path.parts}
    guests = [guest for part in NEEDED if part in parts for guest in NEEDED[part]]

    def fetch() -> None:
        for guest in guests:
            try:
                folder_of(guest)
            except NotThereError:
                continue

    thread = threading.Thread(target=fetch, name="install guests", daemon=True)
    thread.start()
    return thread
