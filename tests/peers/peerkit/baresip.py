"""baresip as a phone: answers by itself, says a tone, records what it hears, obeys over TCP (netstrings with JSON)."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sinchphone.tasks import start_task
from tests.peers.peerkit.programs import HOST, PATIENCE_SECONDS, Program, require, running
from tests.peers.peerkit.sound import heard, write_tone
from tests.suite.ports import free_ports

MODULES = ("stdio", "g711", "opus", "g722", "srtp", "dtls_srtp", "aufile", "aubridge", "sndfile")
APPLICATIONS = ("menu", "debug_cmd", "ctrl_tcp")  # loaded in this order
TEMPORARY = ("uuid", "account")
MODULE_FOLDERS = ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules", "/usr/lib/aarch64-linux-gnu/baresip/modules")


@dataclass(frozen=True)
class Certificates:
    """For a phone: its chain with the key in one file, and whom it trusts."""

    both: Path
    authority: Path


class Baresip:
    """A running baresip."""

    def __init__(self, program: Program, folder: Path, port: int, user: str) -> None:
        self.program = program
        self.folder = folder
        self.port = port
        self.user = user
        self.events: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._news = asyncio.Event()
        self._seen = 0

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{HOST}:{self.port}"

    async def connect(self, port: int) -> None:
        await self.program.listens(port, "tcp")
        self._reader, self._writer = await asyncio.open_connection(HOST, port)
        self._reading = start_task(self._read(), name="baresip control")

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()

    async def order(self, command: str, parameters: str = "") -> dict[str, Any]:
        """An order such as dial, hangup, sndcode, hold, resume; its answer."""
        token = str(next(self._numbers))
        answer = self._answers[token] = asyncio.get_running_loop().create_future()
        text = json.dumps({"command": command, "params": parameters, "token": token}).encode()
        self._writer.write(b"%d:%s," % (len(text), text))
        return await asyncio.wait_for(answer, PATIENCE_SECONDS)

    async def dial(self, uri: str) -> None:
        assert (await self.order("dial", uri))["ok"]

    async def event(self, kind: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The next event of that kind; those before it are passed over."""
        async with asyncio.timeout(seconds):
            while True:
                while self._seen < len(self.events):
                    self._seen += 1
                    if self.events[self._seen - 1].get("type") == kind:
                        return self.events[self._seen - 1]
                self._news.clear()
                await self._news.wait()

    async def press(self, digits: str) -> None:
        for digit in digits:
            await self.order("sndcode", digit)
            await asyncio.sleep(0.2)
            await self.order("sndcode", "\x04")  # the key is let go

    def recording(self, *, last: bool = False) -> Path:
        """What it heard in its longest stretch of talking (a hold begins another file), or in the last; whole when the call is over."""
        files = [path for path in self.folder.glob("dump-*-dec.wav") if path.stat().st_size > 44]
        return max(files, key=lambda path: path.stat().st_mtime if last else path.stat().st_size)

    async def hears(self, hz: float, *, last: bool = False) -> float:
        """The tone's share of what it heard in the call that is over, the longest or the last."""
        await self.program.until(lambda: any(path.stat().st_size > 44 for path in self.folder.glob("dump-*-dec.wav")), "a recording")
        return heard(self.recording(last=last), hz)

    async def _read(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await self._reader.readuntil(b":"))[:-1])
                message = json.loads(await self._reader.readexactly(length))
                await self._reader.readexactly(1)
                waiting = self._answers.pop(message.get("token", ""), None) if message.get("response") else None
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
                else:
                    self.events.append(message)
                    self._news.set()


def write_config(folder: Path, *, port: int, control: int, media: int, tone: Path, rate: int, certificates: Certificates | None) -> None:
    modules = next((path for path in map(Path, MODULE_FOLDERS) if path.exists()), Path(MODULE_FOLDERS[0]))
    lines = [
        f"sip_listen {HOST}:{port}",
        f"net_interface {HOST}",
        f"rtp_ports {media}-{media + 19}",
        "rtp_stats yes",
        "jitter_buffer_delay 2-6",
        "call_max_calls 4",
        f"audio_source aufile,{tone}",
        *(f"audio_{end} aubridge,nil" for end in ("player", "alert")),
        *(f"{end}_srate {rate}" for end in ("ausrc", "auplay")),
        *(f"{end}_channels 1" for end in ("ausrc", "auplay")),
        "opus_bitrate 32000",
        f"snd_path {folder}",
        f"module_path {modules}",
        *(f"module {name}.so" for name in MODULES),
        *(f"module_tmp {name}.so" for name in TEMPORARY),
        *(f"module_app {name}.so" for name in APPLICATIONS),
        f"ctrl_tcp_listen {HOST}:{control}",
    ]
    if certificates is not None:  # a file that isn't there stops the start, even of UDP
        lines += [f"sip_certificate {certificates.both}", f"sip_cafile {certificates.authority}"]
    (folder / "config").write_text("\n".join(lines) + "\n")
    (folder / "contacts").write_text("")


@contextlib.asynccontextmanager
async def phone(
    folder: Path,
    user: str,
    *,
    hz: float,
    codec: str = "pcmu",
    certificates: Certificates | None = None,
    srtp: bool = False,
    registrar: str | None = None,
    password: str = "",
    answers: bool = True,
    packet_ms: int | None = None,
    pauses: bool = False,
) -> AsyncIterator[Baresip]:
    """A phone that is ready: ``registrar`` is ``host:port;transport=...``, where it registers with the password. It wants packets of
    ``packet_ms``; with ``pauses`` it sends, and wants, no Opus while nobody speaks."""
    program = require("baresip")
    folder.mkdir()
    first = free_ports(24, even=True)  # SIP, TLS above it, control, then media
    rate = 48_000 if codec == "opus" else 8_000
    tone = write_tone(folder / "tone.wav", hz, rate)
    write_config(folder, port=first, control=first + 2, media=first + 4, tone=tone, rate=rate, certificates=certificates)
    account = [f"<sip:{user}@{registrar or f'{HOST}:{first}'}>", f"audio_codecs={'opus/48000/2' if codec == 'opus' else codec}"]
    account += [f"regint={300 if registrar else 0}", f"answermode={'auto' if answers else 'manual'}"]
    if registrar:
        account += [f"auth_user={user}", f"auth_pass={password}"]
    if packet_ms is not None:
        account.append(f"ptime={packet_ms}")
    if pauses:
        with (folder / "config").open("a") as config:
            config.write("opus_dtx yes\n")
    if srtp:
        account.append("mediaenc=srtp-mand")
    (folder / "accounts").write_text(";".join(account) + "\n")
    async with running(program, "-4", "-s", "-f", folder, log=folder / "log") as process:
        made = Baresip(process, folder, first, user)
        await made.connect(first + 2)
        try:
            if registrar:
                await process.says("binding]")  # the event may come before we listen
            yield made
        finally:
            await made.close()
