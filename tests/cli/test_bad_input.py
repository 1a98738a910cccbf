"""What a user gets wrong and what an attacker tries, each against real processes: a sentence and an exit code, never a traceback."""

import asyncio
import base64
import functools
import json
import os
import re
import resource
import secrets
import signal
import socket
import time
import wave
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import pytest
from aiohttp import web
from jsonschema import Draft202012Validator

from sinchphone.cli.control.schema import schema_text
from sinchphone.config import user_file
from sinchphone.exchange.directory.directory import Device  # type: ignore[attr-defined]
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.auth import sign_registration_token
from sinchphone.protocol.mxp.fragments import split
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encrypt
from sinchphone.protocol.sdp.jsep import Description, encode_description
from sinchphone.tasks import start_task
from tests.programs import SINCHPHONE


def write_user_file(text: str) -> None:
    """The user's own file, and no other: a project's may not set the port."""
    Path("sinchphone.toml").unlink(missing_ok=True)
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


LIMIT = 30.0
Env: TypeAlias = dict[str, str | None]  # changes to the environment; None takes a variable away
KEY = "00000000-1111-2222-3333-444444444444"
SECRET = base64.b64encode(bytes(range(32))).decode()
SCHEMA = Draft202012Validator(json.loads(schema_text()))


@dataclass
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    def refuses(self, code: int, *words: str) -> None:
        """One error, one hint, the right exit code, no traceback; with --json one result, last."""
        assert self.code == code, self
        assert "Traceback" not in self.err + self.out, self
        if self.out.startswith("{"):
            result = self.events[-1]
            assert [event["event"] for event in self.events].count("result") == 1
            assert (result["event"], result["ok"], result["exit_code"]) == ("result", False, code)
            told = f"{result['error']['message']} {result['error']['hint'] or ''}"
            assert result["error"]["hint"], self
        else:
            lines = self.err.splitlines()
            assert [line.partition(":")[0] for line in lines[-2:]] == ["error", "hint"], self
            assert sum(line.startswith("error:") for line in lines) == 1, self
            told = self.err
        for word in words:
            assert word in told, self

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.out.splitlines()]
        for line in lines:
            SCHEMA.validate(line)
        assert [line["seq"] for line in lines] == list(range(len(lines)))
        return lines


class Process:
    """A running sinchphone; whatever still runs at the end of a test is killed."""

    running: ClassVar[list["Process"]] = []

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = {"out": "", "err": ""}
        self._more = asyncio.Event()
        self._readers = [
            start_task(self._read("out", process.stdout), name="out"),
            start_task(self._read("err", process.stderr), name="err"),
        ]
        self.running.append(self)

    @classmethod
    async def start(cls, *arguments: str, env: Env | None = None, **options: Any) -> "Process":
        environ = {name: value for name, value in {**os.environ, **(env or {})}.items() if value is not None}
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        options = {"stdin": nothing, "stdout": pipe, "stderr": pipe} | options
        return cls(await asyncio.create_subprocess_exec(*SINCHPHONE, *arguments, env=environ, **options))

    async def _read(self, name: str, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (chunk := await stream.read(65_536)):
            self.said[name] += chunk.decode()
            self._more.set()
        self._more.set()

    async def until(self, text: str) -> None:
        """Wait until either stream has said it."""
        async with asyncio.timeout(LIMIT):
            while text not in self.said["out"] + self.said["err"]:
                assert not all(reader.done() for reader in self._readers), self.said
                self._more.clear()
                await self._more.wait()

    async def ended(self) -> Ended:
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*self._readers)
            return Ended(await self.process.wait(), self.said["out"], self.said["err"])

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()


async def run(*arguments: str, env: Env | None = None, **options: Any) -> Ended:
    return await (await Process.start(*arguments, env=env, **options)).ended()


@pytest.fixture(autouse=True)
async def own_exchange(nobodys_machine: Path) -> AsyncIterator[Path]:
    """A free port, so that nobody else's exchange is found."""
    Path("sinchphone.toml").write_text('user = "ada"\n[exchange]\nport = 0\n')
    yield nobodys_machine
    while Process.running:
        await Process.running.pop().kill()


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    with MediaThread() as media:
        async with Exchange(ExchangeOptions(port=0, applications={KEY: SECRET}), media=media) as running:
            yield running


@pytest.fixture
def cloud(exchange: Exchange) -> Env:
    """The environment of a user of the cloud, where the exchange is what the cloud is."""
    return {
        "SINCH_APPLICATION_KEY": KEY,
        "SINCH_APPLICATION_SECRET": SECRET,
        "SINCH_USER_ID": "ada",
        "SINCHPHONE_HOST": exchange.url,
    }


def token(issued_ago_s: float) -> str:
    return sign_registration_token(
        KEY, base64.b64decode(SECRET), "ada", issued_at=int(time.time() - issued_ago_s), nonce=secrets.token_hex(8)
    )


both = pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["text", "json"])


# Who we are


@both
async def test_a_wrong_secret(cloud: Env, json_flag: tuple[str, ...]) -> None:
    other = base64.b64encode(b"another secret, of another app").decode()
    done = await run("call", "echo", "--no-audio", *json_flag, env=cloud | {"SINCH_APPLICATION_SECRET": other})
    done.refuses(4, "signature", "secret")
    assert other not in done.out + done.err


async def test_a_secret_that_is_not_base64(cloud: Env) -> None:
    done = await run("call", "echo", "--no-audio", env=cloud | {"SINCH_APPLICATION_SECRET": "not base64!"})
    done.refuses(14, "secret")
    assert "not base64!" not in done.err


async def test_another_applications_key(cloud: Env) -> None:
    (await run("call", "echo", "--no-audio", env=cloud | {"SINCH_APPLICATION_KEY": "other"})).refuses(4, "application")


@both
async def test_a_token_that_has_expired(cloud: Env, json_flag: tuple[str, ...]) -> None:
    old = token(7200)
    done = await run("call", "echo", "--no-audio", *json_flag, env=cloud | {"SINCH_APPLICATION_SECRET": None, "SINCHPHONE_TOKEN": old})
    done.refuses(4, "expired", "token")
    assert old not in done.out + done.err


@both
async def test_a_token_from_the_future(cloud: Env, json_flag: tuple[str, ...]) -> None:
    env = cloud | {"SINCH_APPLICATION_SECRET": None, "SINCHPHONE_TOKEN": token(-7200)}
    (await run("call", "echo", "--no-audio", *json_flag, env=env)).refuses(4, "future", "clock")


@pytest.mark.parametrize("text", ["garbage", "a.b.c", "x" * 100_000])
async def test_a_token_that_is_none(cloud: Env, text: str) -> None:
    env = cloud | {"SINCH_APPLICATION_SECRET": None, "SINCHPHONE_TOKEN": text}
    (await run("call", "echo", "--no-audio", env=env)).refuses(4, "token, format")


async def test_a_token_of_another_user(cloud: Env) -> None:
    env = cloud | {"SINCH_APPLICATION_SECRET": None, "SINCHPHONE_TOKEN": token(0), "SINCH_USER_ID": "bob"}
    (await run("call", "echo", "--no-audio", env=env)).refuses(4, "another user's")


# The clock


def wrong_clock(folder: Path, seconds: float) -> dict[str, str]:
    """Variables that give a Python of its own time."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import time\n_true = time.time\ntime.time = lambda: _true() + {seconds}\n")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_a_clock_that_is_off_by_an_hour_when_we_register_is_corrected(cloud: Env, own_exchange: Path, seconds: float) -> None:
    done = await run("call", "echo", "--no-audio", "--max-duration", "1s", env=cloud | wrong_clock(own_exchange / "clock", seconds))  # type: ignore[operator]
    assert done.code == 0, done  # we sign ourselves, with the time that the platform tells


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_a_clock_that_is_off_by_an_hour_for_a_registered_device_is_corrected(cloud: Env, own_exchange: Path, seconds: float) -> None:
    assert (await run("call", "echo", "--no-audio", "--max-duration", "1s", env=cloud)).code == 0
    done = await run("call", "echo", "--no-audio", "--max-duration", "1s", env=cloud | wrong_clock(own_exchange / "clock", seconds))  # type: ignore[operator]
    assert done.code == 0, done


# Configuration


@both
async def test_an_unknown_key_in_the_configuration(json_flag: tuple[str, ...]) -> None:
    Path("sinchphone.toml").write_text("rign_timeout = '3s'\n")
    (await run("call", "echo", *json_flag)).refuses(14, '"rign_timeout"', '"ring_timeout"')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user = 3", "user must be a text"),
        ("ring_timeout = 'soon'", "ring_timeout must be a duration"),
        ("[sip]\nport = 70000", "sip.port must be a port"),
        ("user = ", "is not TOML"),
        ("\x00", "is not TOML"),
        ("profile = 'wrok'\n[profiles.work]\n", 'no profile "wrok"'),
        ("secret_command = 'rm'", "secret_command"),
        ("application_secret = 'x'", "must not be kept"),
    ],
)
async def test_a_configuration_that_cant_be_used(text: str, words: str) -> None:
    Path("sinchphone.toml").write_text(text)
    (await run("call", "echo")).refuses(14, words)


async def test_a_configuration_file_that_isnt_there() -> None:
    (await run("call", "echo", "--config", "nowhere.toml")).refuses(14, "nowhere.toml")


# The network


async def serve(answer: Callable[[web.Request], Any]) -> tuple[web.AppRunner, int]:
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, int(runner.addresses[0][1])


@pytest.mark.parametrize("command", [("call", "echo", "--no-audio"), ("call", "echo", "--no-audio", "--json"), ("listen",), ("exchange",)])
async def test_the_exchanges_port_is_taken_by_a_foreign_program(command: tuple[str, ...]) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello, this is a printer")

    runner, port = await serve(hello)
    try:
        write_user_file(f"[exchange]\nport = {port}\n")
        (await run(*command)).refuses(9, f"127.0.0.1:{port}", "another port")
    finally:
        await runner.cleanup()


async def test_the_exchanges_port_is_taken_by_a_program_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        write_user_file(f"[exchange]\nport = {port}\n")
        (await run("call", "echo", "--no-audio")).refuses(9, f"127.0.0.1:{port}", "doesn't answer")


@both
async def test_a_host_that_cant_be_reached(cloud: Env, json_flag: tuple[str, ...]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and doesn't listen
        port = closed.getsockname()[1]
        done = await run("call", "echo", "--no-audio", *json_flag, env=cloud | {"SINCHPHONE_HOST": f"http://127.0.0.1:{port}"})
        done.refuses(9, f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<html>a captive portal</html>", 13),
        (200, b"\xff" * 100, 13),
        (200, b"[" * 100_000, 13),
        (201, b"x" * 10_000_000, 13),
        (302, b"", 13),
        (404, b"not here", 13),
        (500, b"{}", 13),
        (503, b"", 13),
        (403, b'{"code": 40300, "message": "\\u001b[2Jcredit"}', 8),
    ],
)
async def test_a_platform_that_talks_nonsense(cloud: Env, status: int, body: bytes, code: int) -> None:
    async def nonsense(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    runner, port = await serve(nonsense)
    try:
        done = await run("call", "echo", "--no-audio", env=cloud | {"SINCHPHONE_HOST": f"http://127.0.0.1:{port}"})
        done.refuses(code)
        assert "\x1b" not in done.err
    finally:
        await runner.cleanup()


# What comes over pub/sub


@dataclass
class Listener:
    """A listening sinchphone and its device, as the exchange knows it."""

    process: Process
    device: Device
    exchange: Exchange

    @classmethod
    async def start(cls, exchange: Exchange, env: Env, *options: str) -> "Listener":
        process = await Process.start("listen", "--user", "bob", "--no-audio", "--auto-answer", *options, env=env)
        await process.until("client.ready" if "--json" in options else "waiting for calls")
        application = exchange.directory.application(KEY)
        assert application is not None
        return cls(process, next(iter(application.users["bob"].values())), exchange)

    def post(self, payload: object) -> None:
        keys, size = self.device.application.broadcast, 1
        self.exchange.broker.publish(
            keys.subscribe_key, self.device.identity.broadcast_channel, payload, size=size, publisher="x", now=time.time()
        )

    def invite(
        self, *, user: str = "mallory", to: str | None = None, instance: str = "evil", call_id: str = "EVIL", **headers: str
    ) -> None:
        sdp = encode_description(Description("offer", "v=0\r\n"))
        addressed = {"to": self.device.instance_id if to is None else to, "key": base64.b64encode(bytes(32)).decode(), "sdp": sdp}
        message = Message(Method.INVITE, Client(user, instance, "mallorys-channel"), BodyType.MEDIA, "", addressed | headers)
        for frame in split(encrypt(message, self.device.identity.mxp_key, os.urandom(16)), call_id, "1"):
            self.post(frame)


async def test_garbage_on_our_channel_is_ignored_and_the_next_call_works(exchange: Exchange, cloud: Env) -> None:
    bob = await Listener.start(exchange, cloud, "--once", "--json")
    deep: object = None
    for _ in range(200):
        deep = [deep]
    for payload in ("garbage", "10 x - 0 1 AAAA", {"not": "text"}, None, 7, [], "10 x 1 1 0 AA", "\x00\x1b[2J", deep, "10 y 7 0 512 AAAA"):
        bob.post(payload)
    bob.post("10 z - 0 1 " + base64.b64encode(os.urandom(64)).decode())
    call = await run("call", "bob", "--no-audio", "--max-duration", "1s", env=cloud)
    assert call.code == 0, call
    done = await bob.process.ended()
    assert (done.code, done.err) == (0, "")
    assert [event["peer"] for event in done.events if event["event"] == "call.incoming"] == ["ada"]


async def test_a_frame_of_ten_megabytes_is_ignored_and_the_next_call_works(exchange: Exchange, cloud: Env) -> None:
    bob = await Listener.start(exchange, cloud, "--once", "--json")
    bob.post("10 big - 0 1 " + "A" * 10_000_000)
    call = await run("call", "bob", "--no-audio", "--max-duration", "1s", env=cloud)
    assert call.code == 0, call
    done = await bob.process.ended()
    assert done.code == 0
    assert [event["peer"] for event in done.events if event["event"] == "call.incoming"] == ["ada"]


async def test_an_invite_for_somebody_else_doesnt_ring(exchange: Exchange, cloud: Env) -> None:
    bob = await Listener.start(exchange, cloud, "--once", "--json")
    bob.invite(to="somebody-else")
    bob.invite(instance=bob.device.instance_id, call_id="OWN")
    bob.invite(call_id="NOKEY", key="")
    call = await run("call", "bob", "--no-audio", "--max-duration", "1s", env=cloud)
    assert call.code == 0, call
    done = await bob.process.ended()
    assert done.code == 0
    assert [event["peer"] for event in done.events if event["event"] == "call.incoming"] == ["ada"]


NASTY = "\x1b[2Jmallory\n\r\x07\u202eevil\u2028\x9b1m"


async def test_control_characters_in_a_callers_name_are_escaped_on_the_screen(exchange: Exchange, cloud: Env) -> None:
    bob = await Listener.start(exchange, cloud, "--for", "2s", "-v")
    bob.invite(user=NASTY, ph=json.dumps({"\x1bname": NASTY}))
    await bob.process.until("calls")
    done = await bob.process.ended()
    assert "\\x1b[2Jmallory\\x0a\\x0d\\x07\\u202eevil\\u2028\\x9b1m calls" in done.err
    assert not set("\x1b\r\x07\u202e\u2028\x9b") & set(done.err + done.out)
    assert "Traceback" not in done.err


async def test_control_characters_in_a_callers_name_are_valid_in_json(exchange: Exchange, cloud: Env) -> None:
    bob = await Listener.start(exchange, cloud, "--for", "2s", "--json")
    bob.invite(user=NASTY, ph=json.dumps({"\x1bname": NASTY}))
    await bob.process.until("call.incoming")
    done = await bob.process.ended()
    assert done.out.isascii()
    incoming = next(event for event in done.events if event["event"] == "call.incoming")
    assert (incoming["peer"], incoming["headers"]) == (NASTY, {"\x1bname": NASTY})
    assert done.events[-1]["event"] == "result"


# Files and devices


@both
async def test_a_file_to_play_that_isnt_there(json_flag: tuple[str, ...]) -> None:
    (await run("call", "echo", "--no-audio", "--play", "nowhere.wav", *json_flag)).refuses(2, "nowhere.wav")


async def test_a_file_to_play_that_is_no_sound() -> None:
    Path("prose.wav").write_text("this is not audio\n" * 100)
    (await run("call", "echo", "--no-audio", "--play", "prose.wav")).refuses(2, "prose.wav")


async def test_a_file_to_play_that_cant_be_read() -> None:
    Path("folder.wav").mkdir()
    (await run("call", "echo", "--no-audio", "--play", "folder.wav")).refuses(2, "folder.wav")


@pytest.mark.parametrize("command", [("call", "echo"), ("listen",)])
@both
async def test_a_recording_that_exists_is_not_overwritten(command: tuple[str, ...], json_flag: tuple[str, ...]) -> None:
    Path("kept.wav").write_bytes(b"precious")
    (await run(*command, "--no-audio", "--record", "kept.wav", *json_flag)).refuses(2, "kept.wav exists already", "--force")
    assert Path("kept.wav").read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["x.mp3", "nowhere/x.wav"])
@pytest.mark.parametrize("command", [("call", "echo"), ("listen", "--for", "1s")])
async def test_a_recording_that_cant_be_made(command: tuple[str, ...], name: str) -> None:
    (await run(*command, "--no-audio", "--record", name)).refuses(2, name)


@pytest.mark.parametrize("option", ["--input", "--output"])
async def test_a_device_that_was_named_and_is_missing(option: str) -> None:
    done = await run("call", "echo", option, "no such device", env={"PULSE_SERVER": "none"})
    done.refuses(11)
    assert "ringing" not in done.err


async def test_a_disk_that_gets_full_while_we_record() -> None:
    small = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (250_000, 250_000))
    done = await run("call", "tone", "--no-audio", "--record", "x.wav", "--max-duration", "2s", preexec_fn=small)
    assert done.code == 12, done  # the call was as asked, the recording wasn't
    assert "warning: x.wav can't be written" in done.err or "warning: the disk is full" in done.err
    assert "Traceback" not in done.err
    with wave.open("x.wav") as kept:
        assert kept.getnframes() > 10_000


async def test_a_number_without_a_caller_id_in_the_cloud(cloud: Env) -> None:
    (await run("call", "+14155550101", "--no-audio", env=cloud)).refuses(8, "caller id", "--caller-id")


async def test_what_is_wrong_with_our_files_is_not_told_to_the_caller(exchange: Exchange, cloud: Env) -> None:
    bob = await Listener.start(exchange, cloud, "--json", "--record", "private.wav")
    Path("private.wav").write_bytes(b"appeared meanwhile")
    call = await run("call", "bob", "--no-audio", env=cloud)
    call.refuses(13, "no sound at the other end")
    assert "private" not in call.err
    await bob.process.until("private.wav exists already")
    bob.process.process.send_signal(signal.SIGTERM)
    done = await bob.process.ended()
    assert (done.code, done.err) == (143, "")


# Odd surroundings


@both
async def test_ctrl_c_while_registering(cloud: Env, json_flag: tuple[str, ...]) -> None:
    asked = asyncio.Event()

    async def silence(request: web.Request) -> web.Response:
        asked.set()
        await asyncio.sleep(LIMIT)
        return web.Response()

    runner, port = await serve(silence)
    try:
        process = await Process.start("call", "echo", "--no-audio", *json_flag, env=cloud | {"SINCHPHONE_HOST": f"http://127.0.0.1:{port}"})
        await asyncio.wait_for(asked.wait(), LIMIT)
        process.process.send_signal(signal.SIGINT)
        done = await asyncio.wait_for(process.ended(), 10)
    finally:
        await runner.cleanup()
    assert done.code == 130
    assert "Traceback" not in done.err
    if json_flag:
        assert [event["event"] for event in done.events] == ["result"]
        assert done.events[0]["exit_code"] == 130


async def test_standard_input_that_is_closed() -> None:
    done = await run("call", "echo", "--no-audio", "--max-duration", "1s", preexec_fn=functools.partial(os.close, 0), stdin=None)
    assert done.code == 0, done


async def test_standard_input_that_is_closed_and_should_be_played() -> None:
    done = await run("call", "echo", "--no-audio", "--play", "-", preexec_fn=functools.partial(os.close, 0), stdin=None)
    done.refuses(2, "standard input")


async def test_standard_error_that_is_closed() -> None:
    done = await run("call", "echo", "--no-audio", "--max-duration", "1s", preexec_fn=functools.partial(os.close, 2), stderr=None)
    assert done.code == 0
    assert re.fullmatch(r"ended after 0:\d\d: the time is up\n", done.out)


async def test_a_dumb_terminal_and_no_locale() -> None:
    done = await run("call", "echo", "--no-audio", "--max-duration", "1s", env={"TERM": "dumb", "LC_ALL": "C", "PYTHONUTF8": "0"})
    assert done.code == 0, done
    assert "\x1b" not in done.err


async def test_no_home() -> None:
    env = {"HOME": None, "XDG_CONFIG_HOME": None, "XDG_STATE_HOME": None, "SINCHPHONE_CONFIG": "own.toml"}
    Path("own.toml").write_text('state_dir = "state"\n[exchange]\nport = 0\n')
    done = await run("call", "echo", "--no-audio", "--max-duration", "1s", env=env)
    assert done.code == 0, done


async def test_a_home_that_isnt_there() -> None:
    env = {"HOME": "/proc/nowhere", "XDG_CONFIG_HOME": None, "XDG_STATE_HOME": None}
    (await run("call", "echo", "--no-audio", env=env)).refuses(14, "/proc/nowhere")


@both
async def test_a_state_folder_that_cant_be_written(own_exchange: Path, json_flag: tuple[str, ...]) -> None:
    (own_exchange / "a file").write_text("")  # root may write into any folder, but not into this
    env = {"XDG_STATE_HOME": str(own_exchange / "a file")}
    (await run("call", "echo", "--no-audio", *json_flag, env=env)).refuses(14, "can't be used")  # type: ignore[arg-type]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_state_folder_that_is_read_only(own_exchange: Path) -> None:
    (own_exchange / "state").mkdir(mode=0o500)
    (await run("call", "echo", "--no-audio")).refuses(14, "can't be used")


async def test_credentials_that_others_can_read(own_exchange: Path) -> None:
    assert (await run("token")).code == 0
    (own_exchange / "state" / "sinchphone" / "local-application.json").chmod(0o644)
    (await run("call", "echo", "--no-audio")).refuses(14, "others", "chmod 600")


async def test_credentials_that_were_damaged(own_exchange: Path) -> None:
    assert (await run("token")).code == 0
    (own_exchange / "state" / "sinchphone" / "local-application.json").write_text("{")
    (await run("call", "echo", "--no-audio")).refuses(14, "local application")


# Where the output goes


@pytest.mark.parametrize("command", [("call", "tone", "--no-audio", "--max-duration", "1s"), ("config", "show"), ("--help",), ("token",)])
async def test_standard_output_on_a_disk_that_is_full(command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = await run(*command, stdout=full)
    done.refuses(2, "standard output can't be written: No space left on device")


async def test_json_on_a_disk_that_is_full() -> None:
    with Path("/dev/full").open("w") as full:
        for command in (("call", "tone", "--no-audio"), ("cal",)):
            done = await run(*command, "--json", stdout=full)
            done.refuses(2)


async def test_standard_error_on_a_disk_that_is_full() -> None:
    with Path("/dev/full").open("w") as full:
        done = await run("call", "tone", "--no-audio", "--max-duration", "1s", stderr=full)
    assert done.code == 0
    assert re.fullmatch(r"ended after 0:\d\d: the time is up\n", done.out)


@pytest.mark.parametrize(
    "command", [("config", "show"), ("config", "schema"), ("--help",), ("--version",), ("token",), ("devices", "--json")]
)
async def test_a_reader_that_went_away_before_we_wrote(command: tuple[str, ...]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe:
        done = await run(*command, stdout=pipe, env={"PULSE_SERVER": "none"})
    assert done.err == "" or command[0] == "devices"
    assert done.code in ((0, 11) if command[0] == "devices" else (0,))


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM])
async def test_a_reader_that_has_stopped_reading_doesnt_keep_us_from_ending(order: signal.Signals) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with os.fdopen(ours), os.fdopen(theirs, "w") as pipe:
        while True:
            try:
                os.write(theirs, bytes(4096))
            except BlockingIOError:
                break
        os.set_blocking(theirs, True)
        process = await Process.start("call", "tone", "--no-audio", "--json", stdout=pipe)
        await asyncio.sleep(4)
        process.process.send_signal(order)
        done = await asyncio.wait_for(process.ended(), 10)
    assert (done.code, done.err) == (128 + order, "")


async def test_a_terminal_that_is_closed_hangs_up() -> None:
    Path("sinchphone.toml").write_text('user = "ada"\n[exchange]\nport = 0\n')
    process = await Process.start("call", "tone", "--no-audio", "--json")
    await process.until("call.established")
    process.process.send_signal(signal.SIGHUP)
    done = await process.ended()
    assert (done.code, done.events[-1]["calls"][0]["cause"]) == (143, "hung_up")


@pytest.mark.parametrize("color", ["always", "never"])
async def test_nobody_who_reads_standard_error(color: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe:
        done = await run("call", "tone", "--no-audio", "--max-duration", "1s", "--color", color, stderr=pipe)
    assert done.code == 0
    assert re.fullmatch(r"ended after 0:\d\d: the time is up\n", done.out)


# What was typed


LONG = "x" * 5000
NOT_UTF8 = os.fsdecode(b"\xff")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("call", LONG), 2),
        (("call", "bob", "--user", "b\u00f6b"), 14),
        (("listen", "--user", "a b"), 14),
        (("token", "--user", LONG), 2),
        (("call", "echo", "--no-audio", "--play", LONG), 2),
        (("call", "echo", "--no-audio", "--record", f"{LONG}.wav"), 2),
        (("listen", "--no-audio", "--record", f"{LONG}.wav"), 2),
        (("call", "echo", "--header", f"x={LONG}"), 2),
        (("call", "echo", "--caller-id", "me"), 2),
        (("call", "echo", "--config", LONG), 14),
        (("call", "echo", "--profile", "\x1b[2J"), 14),
        (("call", "\x1b[2J\n"), 2),
        (("\x1b[2J",), 2),
        (("call", "hangup-after:soon", "--no-audio"), 13),
        (("exchange", "--port", "many"), 2),
        (("conference", NOT_UTF8, "--no-audio"), 2),
        (("trace", NOT_UTF8), 2),
        (("exchange", "users", "add", NOT_UTF8), 2),
        (("exchange", "users", "remove", NOT_UTF8), 2),
        (("push", "--auto-answer", "missing.json"), 2),
        (("cloud", "learn", "missing.tgz"), 14),
    ],
)
async def test_words_that_cant_be_meant(arguments: tuple[str, ...], code: int) -> None:
    done = await run(*arguments)
    done.refuses(code)
    assert "\x1b" not in done.err
    assert "a bug" not in done.err
    assert not re.search("Errno|valid int", done.err)


@pytest.mark.parametrize("delay_s", [0.06, 0.1, 0.2, 0.35])
async def test_ctrl_c_while_the_program_starts(delay_s: float) -> None:
    process = await Process.start("call", "no-answer", "--no-audio", "--json", "-v")
    await asyncio.sleep(delay_s)
    process.process.send_signal(signal.SIGINT)
    done = await process.ended()
    if done.code in (-signal.SIGINT, 130) and not done.out and not done.err:
        return  # nothing of ours was up: Python itself was still starting
    assert "Traceback" not in done.err
    assert (done.code, [event["event"] for event in done.events].count("result")) == (130, 1)
    assert done.events[-1]["error"]["message"] == "interrupted"
