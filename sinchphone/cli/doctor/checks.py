"""What ``doctor`` checks, one after the other: each check gives a finding, and none keeps the others from running."""

import asyncio
import os
import platform
import shutil
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from sinchphone.cli.addressing.recent import user_of
from sinchphone.cli.calling.phone import Phone, open_environment, open_phone
from sinchphone.cli.doctor.cloud_checks import check_cloud
from sinchphone.cli.doctor.finding import NO_DEVICES_HINT, TRY_AGAIN_HINT, Finding
from sinchphone.cli.doctor.microphone_loop import check_microphone
from sinchphone.cli.doctor.network_checks import NETWORK_CHECKS, check_network, check_own_servers
from sinchphone.cli.terminal.output.listings import CheckResult, DoctorChecked
from sinchphone.cli.terminal.run import problem_of, root_of
from sinchphone.cli.terminal.session import Session
from sinchphone.credentials import secret_source
from sinchphone.errors import ConfigError
from sinchphone.folders import FOLDER_HINT
from sinchphone.options import Place

if TYPE_CHECKING:
    from sinchphone.engine.calls.call import Call

LIMIT_S: Final = 30.0  # of one check
MIN_FREE_BYTES: Final = 100_000_000
CLOCK_WARNING_S: Final = 5.0
CLOCK_PROBLEM_S: Final = 30.0  # from here on platforms refuse what is signed
MAX_LOSS: Final = 0.02
_LIBRARIES: Final = ("aiortc", "av", "cryptography", "sounddevice")


Check = Callable[[], Awaitable[Finding]]


async def run_checks(session: Session, *, microphone: bool = False) -> AsyncIterator[DoctorChecked]:
    """Every check, in the order in which one stands on another, with ``microphone`` that of the microphone too. Those that need the
    platform are skipped where it isn't reached."""
    checks: dict[str, Check] = {
        "versions": _versions,
        "configuration": lambda: _configuration(session),
        "secret": lambda: _secret(session),
        "state": lambda: _state(session),
        "clock": lambda: _clock(session),
        "token": lambda: _token(session),
        "sound": _sound,
        **({"microphone": lambda: check_microphone(session)} if microphone else {}),
    }
    for name, check in checks.items():
        yield await _checked(name, check)
    began = time.monotonic()
    platform_check = "platform"
    try:
        async with asyncio.timeout(LIMIT_S * 2), open_phone(session, is_noted=False) as phone:
            place = "the local exchange" if phone.place is Place.LOCAL else "the platform"
            took = f"registered as {phone.client.user_id} in {time.monotonic() - began:.1f} s"
            yield _told(platform_check, Finding(CheckResult.OK, f"{place} is reached, {took}; pub/sub answers"))
            platform_check = ""
            async for name, finding in check_network(session.options, phone.client):
                yield _told(name, finding)
            yield await _checked("call", lambda: _call(phone))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
        yield _told(platform_check or "call", _problem(error))
        if platform_check:
            async for name, finding in _own_servers(session):
                yield _told(name, finding)
            yield _told("call", Finding(CheckResult.SKIPPED, "no platform, no call"))


async def _own_servers(session: Session) -> AsyncIterator[tuple[str, Finding]]:
    try:
        async for found in check_own_servers(session.options):
            yield found
    except ConfigError as error:
        for name in NETWORK_CHECKS:
            yield name, Finding(CheckResult.PROBLEM, str(error), error.hint)


async def cloud_checks(session: Session) -> AsyncIterator[DoctorChecked]:
    """The steps of the start sequence with the cloud."""
    async for name, finding in check_cloud(session):
        yield _told(name, finding)


async def _checked(name: str, check: Check) -> DoctorChecked:
    try:
        async with asyncio.timeout(LIMIT_S):
            return _told(name, await check())
    except Exception as error:  # noqa: BLE001
        return _told(name, _problem(error))


def _told(name: str, finding: Finding) -> DoctorChecked:
    return DoctorChecked(id=name, result=finding.result, summary=finding.summary, hint=finding.hint)


def _problem(error: BaseException) -> Finding:
    root = root_of(error)
    if isinstance(root, TimeoutError):
        return Finding(CheckResult.PROBLEM, f"no end within {LIMIT_S:g} s", TRY_AGAIN_HINT)
    problem = problem_of(root)
    return Finding(CheckResult.PROBLEM, problem.message, problem.hint)


async def _versions() -> Finding:
    def of(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"{package} missing"

    found = [of(package) for package in ("sinchphone", *_LIBRARIES)]
    missing = [one for one in found if one.endswith("missing")]
    text = f"{', '.join(found)}, Python {platform.python_version()}, {platform.system()}"
    return Finding(CheckResult.PROBLEM if missing else CheckResult.OK, text, "install sinchphone again" if missing else None)


async def _configuration(session: Session) -> Finding:
    files = ", ".join(map(str, session.configuration.files)) or "no file"
    options = session.options
    user = f"{user_of(options)} ({session.configuration.source('user')})"
    return Finding(
        CheckResult.OK, f"{files}; environment {options.environment} ({session.configuration.source('environment')}), user {user}"
    )


async def _secret(session: Session) -> Finding:
    """Its form and its file's mode are checked where it's read, for the token."""
    options = session.options
    if options.environment is Place.LOCAL:
        return Finding(CheckResult.SKIPPED, "the local exchange makes its own")
    named = next((name for name in ("token", "token_url") if getattr(options, name) is not None), None)
    source = named or await asyncio.to_thread(secret_source, options)
    if source is None:
        return Finding(
            CheckResult.PROBLEM, "nothing proves who you are", "SINCH_APPLICATION_SECRET, secret_file, secret_command or token_url"
        )
    return Finding(CheckResult.OK, f"from {source}")


async def _state(session: Session) -> Finding:
    folder = session.options.state_path
    if not os.access(folder, os.F_OK):
        above = next(one for one in folder.absolute().parents if os.access(one, os.F_OK))
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            return Finding(CheckResult.PROBLEM, f"{folder} can't be made: {above} takes no new folder", FOLDER_HINT)
        return Finding(CheckResult.OK, f"{folder} will be made when something is kept")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(CheckResult.PROBLEM, f"{folder} can't be written", f"chown it to yourself and: chmod 700 {folder}")
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        return Finding(CheckResult.PROBLEM, f"{folder}: {free // 1_000_000} MB are free", "make room on the disk")
    if os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding(CheckResult.WARNING, f"{folder} can be entered by others", f"chmod 700 {folder}")
    return Finding(CheckResult.OK, f"{folder}, {free / 1e9:.1f} GB free")


async def _clock(session: Session) -> Finding:
    from sinchphone.engine.environment import base_url_of
    from sinchphone.signaling.http.platform_clock import ask_clock

    options = session.options
    if options.environment is Place.LOCAL:
        return Finding(CheckResult.SKIPPED, "the local exchange has this machine's clock")
    ahead = await ask_clock(base_url_of(options.host, options.api), ca_file=options.ca_file)
    words = f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the platform's"
    if abs(ahead) < CLOCK_WARNING_S:
        return Finding(CheckResult.OK, "as the platform's")
    return Finding(
        CheckResult.PROBLEM if abs(ahead) > CLOCK_PROBLEM_S else CheckResult.WARNING, words, "set the clock: timedatectl set-ntp true"
    )


async def _token(session: Session) -> Finding:
    environment = open_environment(session.options)
    try:
        token = await environment.token(user_of(session.options))
    finally:
        await environment.close()
    return Finding(CheckResult.OK, f"made for {user_of(session.options)}, {len(token)} characters; the platform's check of it is next")


async def _sound() -> Finding:
    from sinchphone.media.local_audio.devices.sound_cards import list_devices
    from sinchphone.media.local_audio.voice import MISSING_HINT, is_available

    found = await asyncio.to_thread(list_devices)
    microphones, loudspeakers = (sum(bool(getattr(one, way)) for one in found) for way in ("inputs", "outputs"))
    if not microphones or not loudspeakers:
        lacking = "no sound device" if not found else "no microphone" if not microphones else "no loudspeaker"
        return Finding(CheckResult.WARNING, lacking, NO_DEVICES_HINT)
    words = f"microphones {microphones}, loudspeakers {loudspeakers}"
    return (
        Finding(CheckResult.OK, words) if is_available() else Finding(CheckResult.WARNING, f"{words}, no noise suppression", MISSING_HINT)
    )


async def _call(phone: Phone) -> Finding:
    """A call to echo: whether sound comes back, how late, and how much of it gets lost."""
    if phone.place is not Place.LOCAL:
        return Finding(CheckResult.SKIPPED, "nobody answers by itself there: sinchphone call somebody")
    from sinchphone.cli.calling.media.selfcheck import CHECK_SECONDS, EchoProbe
    from sinchphone.media.ticker import Ticker
    from sinchphone.protocol.call.states import State

    probe = EchoProbe()
    call = await phone.client.call_user("echo", sound=Ticker(probe, phone.media))
    async for state in call.states():
        if state in (State.ESTABLISHED, State.ENDED):
            break
    if call.state is State.ENDED:
        reason = str(call.details.error or call.details.cause)
        return Finding(
            CheckResult.PROBLEM, f"the call to echo ended: {reason}", "a firewall may keep UDP out; sinchphone call echo -v says more"
        )
    probe.begin()
    await asyncio.sleep(CHECK_SECONDS)
    finding = await _heard(call, probe.heard().delay_ms)
    await call.hang_up()
    await call.ended()
    return finding


async def _heard(call: "Call", delay_ms: int | None) -> Finding:
    stats, details = await call.stats(), call.details
    packets = stats.packets_received + stats.packets_lost
    loss = stats.packets_lost / packets if packets else 1.0
    how = f"{details.codec or 'no codec'}, {details.pair or 'no path'}, set up in {(details.establishing_ms or 0) / 1000:.2f} s"
    if delay_ms is None:
        words = "only silence came back" if stats.packets_received else "no packet of sound came back"
        return Finding(CheckResult.PROBLEM, f"{words} ({how})", "a firewall may keep UDP out")
    words = f"the echo came back after {delay_ms} ms, {100 * loss:.1f} % lost ({how})"
    return Finding(CheckResult.WARNING, words, "the network loses packets") if loss > MAX_LOSS else Finding(CheckResult.OK, words)
