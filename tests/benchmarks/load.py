"""What an exchange takes in a second, and what that costs it: registrations, calls until they ring, frames, memory of devices that wait.

usage: python tests/benchmarks/load.py [DEVICES [CALLS]]
       python tests/benchmarks/load.py --profile [DEVICES [CALLS]]     the exchange's most expensive functions too
       python tests/benchmarks/growth.py [--devices N]                 two processes beside one, many devices
       python tests/benchmarks/soak.py [SECONDS]                       calls for minutes on end, and what that leaves behind
       python tests/benchmarks/store_cost.py [DEVICES [CALLS]]         the same with a store on Redis, and how many times the CPU that is

The exchange has a process of its own, and so has the load: phones that speak the protocol without sound, from many loopback addresses.
What carries over to other machines is the exchange's CPU for each; on few cores rates and times also count the load's own work.
"""

import asyncio
import base64
import cProfile
import json
import os
import pstats
import secrets
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
from figures import median, percentile, table

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.options import ExchangeOptions, read_store
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.auth import sign_registration_token, sign_request
from sinchphone.protocol.mxp.fragments import Reassembler, parse_fragment
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, decrypt, encrypt, split
from sinchphone.signaling.ocra.names import OPERATIONS, OcraOperation
from sinchphone.signaling.wire import JSON_CONTENT_TYPE, write_time
from sinchphone.tasks import start_task

KEY: Final = "load"
SECRET: Final = bytes(range(16))
ADDRESSES: Final = 16  # 127.1.0.1 and on
AT_ONCE: Final = 8  # requests under way
FRAMES_A_CALL: Final = 20  # published and delivered
PATIENCE_S: Final = 20.0
SETTLE_S: Final = 1.0
QUIET_S: Final = 7.0  # polls are parked after 5 s
SDP: Final = "v=0\r\n" + "a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\r\n" * 20  # as long as a phone's
CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Host:
    """The exchange's process, as the system sees it."""

    pid: int
    url: str
    said: asyncio.StreamReader = field(repr=False)

    async def tasks(self) -> int:
        """How many it has."""
        os.kill(self.pid, signal.SIGUSR1)
        return int(await self.said.readline())

    def files(self) -> int:
        """How many it has open, connections too."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def memory_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """What a process has computed until now [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


@dataclass
class Phone:
    """A device of the load: registers, waits on both networks, answers each call with a ring."""

    http: aiohttp.ClientSession
    url: str
    user: str
    instance: str = ""
    secret: bytes = b""
    keys: dict[str, str] = field(default_factory=dict)
    profile: dict[str, str] = field(default_factory=dict)
    rang: "dict[str, asyncio.Future[float]]" = field(default_factory=dict)  # calls of ours, by id
    frames: int = 0
    polls: "list[asyncio.Task[None]]" = field(default_factory=list)
    _invites: Reassembler = field(default_factory=Reassembler)

    async def register(self) -> None:
        token = sign_registration_token(KEY, SECRET, self.user, issued_at=int(time.time()), nonce=uuid.uuid4().hex)
        body = json.dumps({"userId": self.user, "deviceId": "load", "capabilities": ["p2p"]}).encode()
        found = await self._send("POST", OPERATIONS[OcraOperation.CREATE_INSTANCE].path(), body, f"Bearer {token}")
        self.instance, self.secret = found["instance"]["id"], base64.b64decode(found["instance"]["secret"])
        self.profile, self.keys = found["config"]["rtcProfile"], found["config"]["rtcConfig"]["mxpPubSubConfig"]

    async def listen(self) -> None:
        """Wait on both networks from now on."""
        begun = [await self._poll(network, "0") for network in ("broadcast", "signal")]
        for network, (token, _) in zip(("broadcast", "signal"), begun, strict=True):
            self.polls.append(start_task(self._follow(network, token), name=f"{network} of {self.user}"))

    async def call(self, callee: "Phone") -> float:
        """Call until it rings there and is given up; how long it took until then [s]."""
        call = await self.ring(callee)
        await self.give_up(call)
        return call.took

    async def ring(self, callee: "Phone") -> "RingingCall":
        """Call until it rings there."""
        call_id, began = str(uuid.uuid4()), time.monotonic()
        self.rang[call_id] = asyncio.get_running_loop().create_future()
        endpoint = OPERATIONS[OcraOperation.PLACE_CALL]
        path = endpoint.path(user=self.user, instance=self.instance)
        destination = {"domain": "mxp", "type": "userId", "identity": callee.user}
        body = json.dumps({"callId": call_id, "destination": destination, "sdp": {"type": "offer", "sdp": SDP}}).encode()
        stamp = write_time(time.time())
        signature = sign_request(endpoint.verb, path, body, JSON_CONTENT_TYPE, stamp, self.secret)
        placed = await self._send(endpoint.verb, path, body, f"Instance {self.instance}:{signature}", stamp)
        async with asyncio.timeout(PATIENCE_S):
            took = await self.rang[call_id] - began
        del self.rang[call_id]
        return RingingCall(self, callee, call_id, base64.b64decode(placed["mxpEncryptionKey"]), placed["mxpSignalChannel"], took)

    async def give_up(self, call: "RingingCall") -> None:
        cancel = Message(Method.CANCEL, Client(self.user, self.instance, self.profile["signalChannel"]))
        await self.publish(call.channel, split(encrypt(cancel, call.key, os.urandom(16)), call.id, "9"))

    async def publish(self, channel: str, frames: Sequence[str]) -> None:
        for frame in frames:
            path = f"/publish/{self.keys['signalPublishKey']}/{self.keys['signalSubscribeKey']}/0/{channel}/0"
            async with self.http.post(self.url + path, json=frame, params={"uuid": self.instance}) as answer:
                assert answer.status == 200, await answer.text()

    async def _follow(self, network: str, token: str) -> None:
        while True:
            token, messages = await self._poll(network, token)
            for message in messages:
                if network == "broadcast":
                    await self._take_invite(message["d"])
                else:
                    self._take(message["d"])

    async def _poll(self, network: str, token: str) -> tuple[str, list[Any]]:
        path = f"/v2/subscribe/{self.keys[f'{network}SubscribeKey']}/{self.profile[f'{network}Channel']}/0"
        async with self.http.get(self.url + path, params={"tt": token, "uuid": self.instance}) as answer:
            found = await answer.json()
            assert answer.status == 200, found
            return found["t"]["t"], found["m"]

    async def _take_invite(self, frame: str) -> None:
        text = self._invites.push(parse_fragment(frame), time.monotonic())
        if text is None:
            return
        try:
            invite = decrypt(text, base64.b64decode(self.profile["key"]))
        except RemoteProtocolError:
            return  # a CANCEL, under the call's own key
        us = Client(self.user, self.instance, self.profile["signalChannel"])
        ack = Message(Method.ACK, us, BodyType.MEDIA, SDP, {"to": invite.sender.instance_id})
        payload = encrypt(ack, base64.b64decode(invite.headers["key"]), os.urandom(16))
        await self.publish(invite.sender.channel, split(payload, parse_fragment(frame).session_id, str(secrets.randbelow(10**9))))

    def _take(self, frame: str) -> None:
        self.frames += 1
        fragment = parse_fragment(frame)
        waiting = self.rang.get(fragment.session_id)
        if waiting is not None and not waiting.done():  # its first frame: the others are right behind it
            waiting.set_result(time.monotonic())

    async def _send(self, verb: str, path: str, body: bytes, authorization: str, stamp: str = "") -> Any:
        sent = {"Content-Type": JSON_CONTENT_TYPE, "Authorization": authorization, "x-timestamp": stamp}
        async with self.http.request(verb, self.url + path, data=body, headers=sent) as answer:
            found = await answer.json()
            assert answer.status < 300, found
            return found


@dataclass(frozen=True)
class RingingCall:
    """A call that rings at its callee's."""

    caller: Phone
    callee: Phone
    id: str
    key: bytes
    channel: str
    took: float

    async def pass_frame(self) -> float:
        """A frame of the caller's, until the callee has it; how long that took [s]. One at a time."""
        came: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.callee.rang[self.id], began = came, time.monotonic()
        payload = base64.b64encode(os.urandom(450)).decode()
        await self.caller.publish(self.callee.profile["signalChannel"], split(payload, self.id, str(secrets.randbelow(10**9))))
        async with asyncio.timeout(PATIENCE_S):
            return await came - began


@dataclass(frozen=True, kw_only=True)
class Phase:
    """So many of something, how long each took [s], in which time, and the exchange's CPU for all [s]."""

    count: int
    took: Sequence[float]
    seconds: float
    cpu_s: float

    def row(self) -> list[float]:
        times = [1000 * one for one in self.took]
        return [self.count / self.seconds, 1000 * self.cpu_s / self.count, median(times), percentile(times, 0.99)]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run found. ``device_bytes``: of the exchange's memory, for each that is registered and polls twice; ``store_s``: the
    CPU of a store's own process for the calls [s]."""

    registrations: Phase
    polls: Phase
    calls: Phase
    frames: Phase
    device_bytes: float
    store_s: float = 0.0


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.monotonic()
    await work()
    return time.monotonic() - began


class Measured(Protocol):
    """What has computed something: a process, or several."""

    def cpu_s(self) -> float:
        """How long until now [s]."""


async def phase(host: Measured, each: Sequence[Callable[[], Awaitable[float]]]) -> Phase:
    """Do all, some at a time."""
    slots, cpu_s, began = asyncio.Semaphore(AT_ONCE), host.cpu_s(), time.monotonic()

    async def one(work: Callable[[], Awaitable[float]]) -> float:
        async with slots:
            return await work()

    took = await asyncio.gather(*(one(work) for work in each))
    return Phase(count=len(took), took=took, seconds=time.monotonic() - began, cpu_s=host.cpu_s() - cpu_s)


async def paced(host: Measured, each: Sequence[Callable[[], Awaitable[float]]], rate: float) -> Phase:
    """Begin so many a second, each when its time has come, whatever became of those before."""
    loop = asyncio.get_running_loop()
    began, cpu_s = loop.time(), host.cpu_s()

    async def one(number: int, work: Callable[[], Awaitable[float]]) -> float:
        await asyncio.sleep(began + number / rate - loop.time())
        return await work()

    took = await asyncio.gather(*(one(number, work) for number, work in enumerate(each)))
    return Phase(count=len(took), took=took, seconds=loop.time() - began, cpu_s=host.cpu_s() - cpu_s)


async def measure(devices: int, calls: int, *, profile: str = "", store: str = "", store_pid: int = 0, settle_s: float = SETTLE_S) -> Load:
    """All phases on an exchange of its own, which has a file for a store, or what is at that address, of that process."""
    async with hosted(devices, profile, store) as host, AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(session(at)) for at in range(ADDRESSES)]
        phones = [Phone(sessions[at % ADDRESSES], host.url, f"user{at}") for at in range(devices)]
        await Phone(sessions[0], host.url, "first").register()  # loads what it needs
        memory = host.memory_bytes()
        registrations = await phase(host, [lambda phone=phone: timed(phone.register) for phone in phones])  # type: ignore[misc]
        polls = await phase(host, [lambda phone=phone: timed(phone.listen) for phone in phones])  # type: ignore[misc]
        await asyncio.sleep(settle_s)
        device_bytes = (host.memory_bytes() - memory) / devices
        pairs = [(phones[at % len(phones)], phones[(at + devices // 2) % len(phones)]) for at in range(calls)]
        store_s = cpu_s(store_pid) if store_pid else 0.0
        ringing = await phase(host, [lambda one=one, other=other: one.call(other) for one, other in pairs])  # type: ignore[misc]
        store_s = cpu_s(store_pid) - store_s if store_pid else 0.0
        frames = await pass_frames(host, phones, calls * FRAMES_A_CALL)
        for poll in (polling := [poll for phone in phones for poll in phone.polls]):
            poll.cancel()
        await asyncio.wait(polling)
        return Load(registrations=registrations, polls=polls, calls=ringing, frames=frames, device_bytes=device_bytes, store_s=store_s)


async def pass_frames(host: Host, phones: Sequence[Phone], count: int) -> Phase:
    """Frames over some calls that ring."""
    ringing: asyncio.Queue[RingingCall] = asyncio.Queue()
    for at in range(min(AT_ONCE, len(phones) // 2)):
        ringing.put_nowait(await phones[at].ring(phones[-1 - at]))

    async def one() -> float:
        call = await ringing.get()
        took = await call.pass_frame()
        ringing.put_nowait(call)
        return took

    found = await phase(host, [one] * count)
    while not ringing.empty():
        call = ringing.get_nowait()
        await call.caller.give_up(call)
    return found


@asynccontextmanager
async def session(at: int) -> AsyncIterator[aiohttp.ClientSession]:
    """Requests from one of many addresses of this machine."""
    connector = aiohttp.TCPConnector(limit=0, local_addr=(f"127.1.0.{at + 1}", 0))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as made:
        yield made


@asynccontextmanager
async def hosted(devices: int, profile: str, store: str = "", options: str = "{}") -> AsyncIterator[Host]:
    """An exchange in a process of its own, which takes so many devices; ``options``: others of its options (JSON)."""
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, __file__, "--exchange", str(devices), store or str(Path(folder) / "store.sqlite3"), profile, options)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        try:
            yield Host(process.pid, (await process.stdout.readline()).decode().strip(), process.stdout)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _be_exchange(devices: int, store: str, more: dict[str, Any]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(len(asyncio.all_tasks()), flush=True))
    applications = {KEY: base64.b64encode(SECRET).decode()}
    limits = {"users": devices + 100, "polls": 2 * devices + 100, "connections": 3 * devices + 1_000, **more}
    kept = read_store(store) if store.startswith("redis") else Path(store)
    options = ExchangeOptions(port=0, applications=applications, store=kept, **limits)
    async with Exchange(options) as exchange:
        print(exchange.url, flush=True)
        await ended.wait()


def be_exchange(devices: str, store: str, profile: str, options: str) -> None:
    """The exchange's process. ``profile``: where its profile is written, if anywhere."""
    if not profile:
        asyncio.run(_be_exchange(int(devices), store, json.loads(options)))
        return
    with cProfile.Profile() as profiler:
        asyncio.run(_be_exchange(int(devices), store, json.loads(options)))
    profiler.dump_stats(profile)


def report(found: Load) -> str:
    """The figures of one run."""
    rows = {
        "registration": found.registrations.row(),
        "two polls begun": found.polls.row(),
        "call, until it rings": found.calls.row(),
        "frame, until it has come": found.frames.row(),
    }
    memory = f"memory of a registered device with two polls: {found.device_bytes / 1024:.1f} KiB"
    return table("exchange", ["a second", "CPU ms each", "median ms", "p99 ms"], rows) + f"\n{memory}"


def main(arguments: list[str]) -> None:
    """Measure once, and tell."""
    profiled = arguments[:1] == ["--profile"]
    devices, calls = (int(one) for one in (*arguments[profiled:], *("500", "300")[len(arguments) - profiled :]))
    with tempfile.TemporaryDirectory() as folder:
        profile = str(Path(folder) / "profile") if profiled else ""
        print(report(asyncio.run(measure(devices, calls, profile=profile, settle_s=QUIET_S))))
        if profiled:
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--exchange"]:
        be_exchange(*sys.argv[2:])
    else:
        main(sys.argv[1:])
