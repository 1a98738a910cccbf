"""ICE restarts between two of our ports: the sound goes on, comes back where the path was gone, and stays where nothing comes of it."""

import asyncio
import time
from typing import Any

import pytest

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.legs.path_control import PathControl
from sinchphone.media.port import CandidateFound, Moved, PortLost, PortOptions, RestartWanted
from sinchphone.media.webrtc import port, secure
from sinchphone.media.webrtc.ice import agent as ice
from sinchphone.media.webrtc.ice import path_watch
from sinchphone.media.webrtc.ice import restart as ice_restart
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task
from tests.media.webrtc.webrtc_parties import HERE, Party, a_call, cut_off, hear, longest_gap_ms, share_of


def sockets(party: Party) -> list[Any]:
    return [protocol.transport for protocol in party.port._path.ice._protocols]


def line(description: Description, name: str) -> str:
    return next(each for each in description.sdp.splitlines() if each.startswith(f"a={name}:"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that waits waits a fifth as long."""
    for home, name in (
        (path_watch, "PAUSE_SECONDS"),
        (path_watch, "ADDRESSES_SECONDS"),
        (ice_restart, "ANSWER_SECONDS"),
        (secure, "RETIRE_SECONDS"),
    ):
        monkeypatch.setattr(home, name, getattr(home, name) / 5)
    monkeypatch.setattr(port, "_WATCH_SECONDS", 0.1)


@pytest.mark.parametrize("who", ["caller", "callee"])
async def test_either_side_moves_the_call_to_another_path_and_nobody_hears_it(who: str) -> None:
    async with a_call() as (caller, callee):
        await hear(caller, 1.0)
        before = sockets(caller)
        restarting, other = (caller, callee) if who == "caller" else (callee, caller)
        hearing = [start_task(hear(party, 3.0), name="hear") for party in (caller, callee)]
        assert restarting.line is not None
        await restarting.line.restart(restarting)
        assert (await restarting.wait_for(Moved)).pair == "host"
        await other.wait_for(Moved)
        for task, hz in zip(hearing, (620, 440), strict=True):
            sound = await task
            assert share_of(sound, hz) > 0.95
            assert longest_gap_ms(sound, hz) <= 200
        assert not set(before) & set(sockets(caller))
        assert all(each.is_closing() for each in before)  # the old path is let go


async def test_an_answer_that_comes_late_on_the_old_path_is_no_consent_to_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consent is to one path (RFC 7675 5.1)."""
    async with a_call() as (caller, _):
        old = caller.port._path.ice
        told: list[float] = []
        assert caller.line is not None
        await caller.line.restart(caller)
        await caller.wait_for(Moved)
        monkeypatch.setattr(caller.port._life, "consented", told.append)
        old._listener.consent()
        assert not told
        caller.port._path.ice._listener.consent()
        assert told


async def test_what_was_known_of_the_old_path_is_not_believed_of_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[PathControl] = []

    def move(path: PathControl) -> None:
        moved.append(path)

    monkeypatch.setattr(PathControl, "moved", move)
    async with a_call() as (caller, callee):
        assert caller.line is not None
        await caller.line.restart(caller)
        await caller.wait_for(Moved)
        await callee.wait_for(Moved)
        assert len(moved) == 2
        assert all(party.port._stream.path in moved for party in (caller, callee))


async def test_an_offer_that_nobody_answers_leaves_the_path_as_it_is(quick: None) -> None:
    async with a_call() as (caller, callee):
        before = sockets(caller)
        await caller.port.restart()
        sound = await hear(caller, 3.0)
        assert share_of(sound, 620) > 0.95
        assert longest_gap_ms(sound, 620) <= 200
        assert sockets(caller) == before
        with pytest.raises(LocalProtocolError):
            await caller.port.accept(Description("answer", (await callee.port.restart()).sdp))


async def test_a_restart_that_finds_no_pair_leaves_the_path_as_it_is() -> None:
    hasty = PortOptions(loopback=True, connect_timeout_s=0.5)
    async with a_call(hasty, hasty) as (caller, callee):
        offer = await caller.port.restart()
        lines = [each for each in offer.sdp.splitlines() if not each.startswith("a=candidate")]
        answer = await callee.port.answer(Description("offer", "\r\n".join(lines)))
        lines = [each for each in answer.sdp.splitlines() if not each.startswith("a=candidate")]
        await caller.port.accept(Description("answer", "\r\n".join(lines)))
        sound = await hear(caller, 3.0)
        assert share_of(sound, 620) > 0.95
        assert longest_gap_ms(sound, 620) <= 200
        assert not caller.has(Moved)
        assert caller.port._ice_restarts is not None and caller.port._ice_restarts._attempt is None


async def test_a_fault_of_the_program_ends_a_restart_and_holds_up_no_later_offer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    async with a_call() as (caller, callee):
        before = sockets(caller)
        monkeypatch.setattr(caller.port._path, "move", fail)
        answer = await callee.port.answer(await caller.port.restart())
        await caller.port.accept(answer)
        async with asyncio.timeout(5):
            offer = await caller.port.reoffer(direction="sendonly")
        assert "a=sendonly" in offer.sdp
        assert sockets(caller) == before
        assert caller.port._ice_restarts is not None and caller.port._ice_restarts._attempt is None
    assert "RuntimeError: a fault" in caplog.text


@pytest.mark.parametrize(("fault", "told"), [(OSError("too many open files"), MediaError), (RuntimeError("a fault"), RuntimeError)])
async def test_a_restart_whose_sockets_can_not_be_opened_ends_at_once_and_holds_up_no_later_one(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, told: type[Exception]
) -> None:
    async def fail(*_: object) -> None:
        raise fault

    async with a_call() as (caller, callee):
        before = sockets(caller)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(ice.IceConnection, "gather_candidates", fail)
            with pytest.raises(told):
                await caller.port.restart()
        assert caller.port._ice_restarts is not None and caller.port._ice_restarts._attempt is None
        assert sockets(caller) == before
        await caller.port.accept(await callee.port.answer(await caller.port.restart()))
        assert (await caller.wait_for(Moved)).pair == "host"


async def test_the_descriptions_of_a_restart_have_new_credentials_a_higher_version_and_the_same_rest() -> None:
    async with a_call() as (caller, callee):
        first = await caller.port.restart()
        second = await caller.port.restart()
        answer = await callee.port.answer(second)
        await caller.port.accept(answer)
        await caller.wait_for(Moved)
        third = await caller.port.restart()
        assert len({line(each, "ice-ufrag") for each in (first, second, third)}) == 3
        origins = [each.sdp.splitlines()[1].split() for each in (first, second, third)]
        assert [int(origin[2]) for origin in origins] == [3, 4, 5]
        assert len({origin[1] for origin in origins}) == 1
        for name in ("fingerprint", "mid", "ssrc"):
            assert line(first, name) == line(third, name)
        assert line(first, "setup") == "a=setup:actpass"
        assert line(answer, "setup") == "a=setup:active"  # as in the call's first answer: DTLS goes on


async def test_the_callee_keeps_its_dtls_role_when_the_other_side_answers() -> None:
    async with a_call() as (caller, callee):
        answer = await caller.port.answer(await callee.port.restart())
        assert line(answer, "setup") == "a=setup:passive"
        await callee.port.accept(answer)
        await callee.wait_for(Moved)


async def test_candidates_of_a_restart_may_come_before_its_description() -> None:
    async with a_call() as (caller, callee):
        offer = await caller.port.restart()
        lines = offer.sdp.splitlines()
        ufrag = line(offer, "ice-ufrag").removeprefix("a=ice-ufrag:")
        for each in lines:
            if each.startswith("a=candidate:"):
                await callee.port.add_candidate(Candidate(f"{each[2:]} ufrag {ufrag}", "0", 0))
        bare = Description("offer", "\r\n".join(each for each in lines if not each.startswith("a=candidate:")))
        answer = await callee.port.answer(bare)
        gone = [each for each in answer.sdp.splitlines() if not each.startswith("a=candidate:")]
        await caller.port.accept(Description("answer", "\r\n".join(gone)))  # it learns the callee by its checks
        await callee.wait_for(Moved)
        await caller.wait_for(Moved)


async def test_candidates_that_come_late_say_whose_they_are() -> None:
    servers = PortOptions(loopback=True)
    async with a_call(servers, servers) as (caller, _):
        first = [event.candidate for event in caller.seen if isinstance(event, CandidateFound) and event.candidate is not None]
        assert {each.candidate.rpartition(" ufrag ")[2] for each in first} == {caller.port._identity.local.ufrag}


@pytest.mark.parametrize("delay_s", [0.0, 0.05])
async def test_where_both_sides_restart_at_once_the_offer_of_the_first_offerer_stands(delay_s: float) -> None:
    async with a_call(delay_s=delay_s) as (caller, callee):
        assert caller.line is not None
        hearing = [start_task(hear(party, 3.0), name="hear") for party in (caller, callee)]
        offers = await asyncio.gather(caller.port.restart(), callee.port.restart())
        await asyncio.sleep(delay_s)
        with pytest.raises(MediaError, match="stands"):
            await caller.port.answer(offers[1])
        answer = await callee.port.answer(offers[0])
        await asyncio.sleep(delay_s)
        await caller.port.accept(answer)
        await caller.wait_for(Moved)
        await callee.wait_for(Moved)
        for task, hz in zip(hearing, (620, 440), strict=True):
            sound = await task
            assert share_of(sound, hz) > 0.95
            assert longest_gap_ms(sound, hz) <= 200


async def test_restarts_one_after_the_other_all_move_the_call() -> None:
    async with a_call() as (caller, callee):
        assert caller.line is not None
        hearing = start_task(hear(callee, 3.0), name="hear")
        for count in range(1, 7):
            await caller.line.restart(caller if count % 2 else callee)
            await caller.wait_for(Moved, count)
            await callee.wait_for(Moved, count)
        sound = await hearing
        assert share_of(sound, 440) > 0.95
        assert longest_gap_ms(sound, 440) <= 200


async def test_a_dead_path_is_noticed_and_the_sound_comes_back() -> None:
    """Both sides' sockets go dead without a word, as when a NAT forgets them."""
    async with a_call(delay_s=0.05) as (caller, callee):
        await hear(callee, 0.5)
        died_at = time.monotonic()
        cut_off(caller.port)
        await caller.wait_for(RestartWanted)
        assert 3.0 < time.monotonic() - died_at < 7.0
        await caller.wait_for(Moved)
        await hear(callee, 0.5)
        for party, hz in ((callee, 440), (caller, 620)):
            assert share_of(await hear(party, 1.0), hz) > 0.95
        assert not caller.has(PortLost)
        assert not callee.has(PortLost)
        assert caller.line is not None and caller.line.offers == 1


async def test_other_addresses_of_the_machine_are_reason_enough(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_call() as (caller, callee):
        hearing = start_task(hear(callee, 3.0), name="hear")
        monkeypatch.setattr(port, "recent_addresses", lambda: ("192.0.2.123",))
        assert "addresses" in (await caller.wait_for(RestartWanted)).reason
        await caller.wait_for(Moved)
        await callee.wait_for(Moved)
        sound = await hearing
        assert share_of(sound, 440) > 0.95
        assert longest_gap_ms(sound, 440) <= 200


async def test_attempts_are_bounded(quick: None) -> None:
    """A peer that never answers isn't offered again and again."""
    patient = PortOptions(loopback=True, lost_after_s=60)
    async with a_call(patient, HERE) as (caller, _):
        assert caller.line is not None
        caller.line.cut = True
        cut_off(caller.port)
        await caller.wait_for(RestartWanted, 3)
        begun = [event for event in caller.seen if isinstance(event, RestartWanted)]
        assert len(begun) <= 4


async def test_what_cannot_be_changed_in_mid_call_is_refused_and_changes_nothing() -> None:
    async with a_call() as (caller, callee):
        offer = await caller.port.restart()
        fingerprint = line(offer, "fingerprint")
        forged = offer.sdp.replace(fingerprint, fingerprint[:-5] + ("00:00" if not fingerprint.endswith("00:00") else "11:11"))
        with pytest.raises(MediaError, match="certificate"):
            await callee.port.answer(Description("offer", forged))
        with pytest.raises(MediaError):
            await callee.port.answer(Description("offer", offer.sdp.replace("opus/48000/2", "PCMU/8000")))
        with pytest.raises(MediaError):
            await callee.port.answer(Description("offer", "v=0\r\n"))
        assert share_of((await hear(callee, 2.0))[-48_000:], 440) > 0.95


async def test_an_answer_without_new_credentials_ends_our_restart_and_nothing_else() -> None:
    async with a_call() as (caller, callee):
        offer = await caller.port.restart()
        current = caller.port._ice_restarts
        assert current is not None
        old = f"a=ice-ufrag:{current.remote.ufrag}"
        answer = await callee.port.answer(offer)
        with pytest.raises(MediaError, match="restart"):
            await caller.port.accept(Description("answer", answer.sdp.replace(line(answer, "ice-ufrag"), old)))
        assert current._attempt is None
        assert share_of((await hear(callee, 2.0))[-48_000:], 440) > 0.95


async def test_an_offer_without_new_credentials_is_answered_and_puts_the_call_on_hold() -> None:
    async with a_call() as (caller, callee):
        await hear(caller, 0.5)
        assert caller.port._ice_restarts is not None
        held = caller.port._ice_restarts
        offer = await caller.port.restart()
        await held.close()
        held._closed = False
        same = offer.sdp.replace(line(offer, "ice-ufrag"), f"a=ice-ufrag:{held.local.ufrag}").replace(
            line(offer, "ice-pwd"), f"a=ice-pwd:{held.local.password}"
        )
        before = sockets(callee)
        answer = await callee.port.answer(Description("offer", same.replace("a=sendrecv", "a=sendonly")))
        assert "a=recvonly" in answer.sdp
        await hear(caller, 0.3)
        assert share_of(await hear(caller, 1.0), 620) < 0.1
        assert "a=sendrecv" in (await callee.port.answer(Description("offer", same))).sdp
        await hear(caller, 0.5)
        assert share_of(await hear(caller, 1.0), 620) > 0.95
        assert sockets(callee) == before


async def test_a_port_that_is_not_connected_cannot_be_restarted() -> None:
    unconnected = WebRtcPort(HERE)
    with pytest.raises(LocalProtocolError):
        await unconnected.restart()
    await unconnected.close()


async def test_closing_in_any_moment_of_a_restart_leaves_nothing_behind() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    tasks = asyncio.all_tasks()
    for moment in range(12):
        async with a_call() as (caller, callee):
            assert caller.line is not None
            restarting = start_task(caller.line.restart(caller), name="restart")
            await asyncio.sleep(0.001 * moment)
            await asyncio.gather(caller.port.close(), callee.port.close())
            await restarting
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == tasks
    assert complaints == []


async def test_the_peers_candidates_without_a_description_are_limited() -> None:
    """Attack: candidates of credentials that never come."""
    async with a_call() as (caller, _):
        for number in range(1000):
            await caller.port.add_candidate(Candidate(f"candidate:1 1 udp 1 192.0.2.1 {number + 1} typ host ufrag x{number}", "0", 0))
        assert caller.port._ice_restarts is not None
        assert len(caller.port._ice_restarts._held) <= 32
        assert len(caller.port._path.ice.remote_candidates) <= ice.MAX_REMOTE_CANDIDATES
