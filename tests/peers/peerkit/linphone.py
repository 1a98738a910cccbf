"""linphonec as a phone: answers by itself, plays a tone from a file, records what it hears."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from tests.peers.peerkit.programs import HOST, Program, require, running
from tests.peers.peerkit.sound import heard, write_tone
from tests.suite.ports import free_ports

SETTINGS = """[sip]
default_proxy=-1
sip_port={port}
sip_tcp_port={port}
sip_tls_port=-1
guess_hostname=0
contact="{user}" <sip:{user}@{host}:{port}>
use_ipv6=0
register_only_when_network_is_up=0
media_encryption=none
[rtp]
audio_rtp_port={media}
audio_jitt_comp=60
symmetric=1
[net]
firewall_policy=none
[sound]
echocancellation=0
remote_ring=
[audio_codec_0]
mime=PCMU
rate=8000
channels=1
enabled=1
"""


class Linphone:
    """A running linphonec."""

    def __init__(self, program: Program, folder: Path, port: int, user: str) -> None:
        self.program = program
        self.folder = folder
        self.port = port
        self.user = user

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{HOST}:{self.port}"

    def hears(self, hz: float) -> float:
        """The tone's share of what it recorded, when it has ended."""
        return heard(self.folder / "heard.wav", hz)

    async def quit(self) -> None:
        """End it in its own way: the recording is whole then."""
        await self.program.say("quit")
        await self.program.ended()


@contextlib.asynccontextmanager
async def linphone(folder: Path, user: str, *, hz: float) -> AsyncIterator[Linphone]:
    program = require("linphonec")
    (folder / ".local/share/linphone").mkdir(parents=True)
    (folder / ".config/linphone").mkdir(parents=True)
    port = free_ports(8, even=True)
    write_tone(folder / "tone.wav", hz, 8000)
    (folder / "linphonerc").write_text(SETTINGS.format(port=port, user=user, host=HOST, media=port + 2))
    environment = {**os.environ, "HOME": str(folder)}
    async with running(program, "-c", folder / "linphonerc", "-a", "-d", "0", log=folder / "log", environment=environment) as process:
        await process.listens(port)
        await process.say("soundcard use files")
        await process.say(f"record {folder / 'heard.wav'}")
        await process.say(f"play {folder / 'tone.wav'}")
        yield Linphone(process, folder, port, user)
