"""A Janus of the tests' own, with its AudioBridge alone."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.suite.ports import free_ports

JANUS = shutil.which("janus")
LIBRARIES = Path("/usr/lib")
LONGEST_S = 30.0


@dataclass
class JanusServer:
    """``start`` and ``kill`` it as often as needed."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert JANUS is not None
        command = [JANUS, "-C", str(self.folder / "janus.jcfg"), "-F", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + LONGEST_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until and self.process.poll() is None, "janus doesn't start"
                time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def configure(folder: Path, port: int, first_rtp: int) -> None:
    (libraries,) = {one.parent.parent for one in LIBRARIES.glob("*/janus/plugins/libjanus_audiobridge.so")}
    others = [one.name for one in libraries.glob("plugins/*.so") if "audiobridge" not in one.name]
    transports = [one.name for one in libraries.glob("transports/*.so") if "websockets" not in one.name]
    unused = {"plugins": others, "transports": transports, "loggers": [one.name for one in libraries.glob("loggers/*.so")]}
    folders = " ".join(f'{one}_folder = "{libraries / one}"' for one in ("plugins", "transports", "loggers"))
    text = f'general: {{ configs_folder = "{folder}" {folders} interface = "127.0.0.1" debug_level = 2 }}\n'
    text += "".join(f'{name}: {{ disable = "{",".join(found)}" }}\n' for name, found in unused.items())
    text += f'media: {{ rtp_port_range = "{first_rtp}-{first_rtp + 60}" }}\nnat: {{ }}\nevents: {{ }}\n'
    (folder / "janus.jcfg").write_text(text)
    listens = f'json = "compact" ws = true ws_port = {port} ws_ip = "127.0.0.1" wss = false'
    (folder / "janus.transport.websockets.jcfg").write_text(f"general: {{ {listens} }}\nadmin: {{ admin_ws = false }}\n")
    (folder / "janus.plugin.audiobridge.jcfg").write_text(
        f'general: {{ rtp_port_range = "{first_rtp + 61}-{first_rtp + 120}" local_ip = "127.0.0.1" }}\n'
    )


@pytest.fixture
def janus(tmp_path: Path) -> Iterator[JanusServer]:
    if JANUS is None and not os.environ.get("SINCHPHONE_REQUIRE_PEERS"):
        pytest.skip("needs the package janus")
    folder = tmp_path / "janus"
    folder.mkdir()
    port = free_ports(122)
    first_rtp = port + 1
    configure(folder, port, first_rtp)
    server = JanusServer(folder, port)
    server.start()
    yield server
    server.kill()
