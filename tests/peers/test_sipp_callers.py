"""sipp calls us: with and without a password, with and without an offer, and with everything that a caller may do to a call."""

import asyncio
from pathlib import Path

import pytest

from sinchphone.gateway.sip.calls import SipCall, SipEnded
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sip.transactions.transaction import Timing
from tests.peers.peerkit.sipp import scenario
from tests.peers.peerkit.station import station

USERS = {"ada": "secret-1"}
QUICK = Timing(t1=0.01, t2=0.08, t4=0.1)  # give up after 0.64 s


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_calls_and_hangs_up(tmp_path: Path, media: MediaThread, transport: str) -> None:
    async with station(media) as us, scenario("uac_call", tmp_path / "a", target=us.at, transport=transport) as ada:  # type: ignore[arg-type]
        call = await us.next_call()
        assert call.sip.target.user == "bob"
        await ada.succeeds()
        assert isinstance(await call.ended(), SipEnded)


async def test_twenty_calls_at_once(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us, scenario("uac_call", tmp_path / "a", target=us.at, calls=20) as ada:
        for _ in range(20):
            await us.next_call()
        await ada.succeeds()
        assert us.agent.open_calls == 0


async def test_speech_and_a_digit_are_heard(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us, scenario("uac_speech_and_digit", tmp_path / "a", target=us.at) as ada:
        call = await us.next_call()
        assert call.port.codec is not None
        assert call.port.codec.name == "PCMA"
        await call.hears_digits("5")
        assert any(abs(frame.astype(int)).max() > 1000 for frame in call.mouth.heard)
        await ada.succeeds()


async def test_a_password_opens_the_door(tmp_path: Path, media: MediaThread) -> None:
    options = {"user": ("ada", "secret-1"), "caller": "ada"}
    async with station(media, passwords=USERS) as us, scenario("uac_password", tmp_path / "a", target=us.at, **options) as ada:  # type: ignore[arg-type]
        call = await us.next_call()
        assert call.sip.user == "ada"
        await ada.succeeds()


@pytest.mark.parametrize("who", [("ada", "wrong"), ("eve", "secret-1")])
async def test_guessing_passwords_gets_the_same_answer_for_users_and_strangers(
    tmp_path: Path, media: MediaThread, who: tuple[str, str]
) -> None:
    async with station(media, passwords=USERS) as us:
        async with scenario("uac_wrong_password", tmp_path / "a", target=us.at, user=who, caller=who[0]) as ada:
            await ada.succeeds()
        assert us.came.empty()


async def test_no_password_gets_nothing_but_a_challenge(tmp_path: Path, media: MediaThread) -> None:
    async with station(media, passwords=USERS) as us, scenario("uac_unwanted", tmp_path / "a", target=us.at) as ada:
        await ada.succeeds()
        assert us.came.empty()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_registers_and_takes_it_back(tmp_path: Path, media: MediaThread, transport: str) -> None:
    async with station(media, passwords=USERS) as us:
        assert us.registrar is not None
        options = {"target": us.at, "service": "ada", "user": ("ada", "secret-1"), "transport": transport}
        async with scenario("uac_registers", tmp_path / "a", **options) as ada:  # type: ignore[arg-type]
            await ada.succeeds()
        assert us.registrar.contacts("ada") == []


async def test_gives_up_while_it_rings(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us:
        ended: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()

        async def ring_on(sip: SipCall) -> None:
            await sip.ring()
            ended.set_result([event async for event in sip.events()])

        us.behave = ring_on
        async with scenario("uac_cancels", tmp_path / "a", target=us.at) as ada:
            await ada.succeeds()
        (end,) = await asyncio.wait_for(ended, 20)
        assert isinstance(end, SipEnded)


async def test_is_refused(tmp_path: Path, media: MediaThread) -> None:
    async with station(media, timing=QUICK) as us:

        async def refuse(sip: SipCall) -> None:
            await sip.refuse(403, "Forbidden")

        us.behave = refuse
        async with scenario("uac_refused", tmp_path / "a", target=us.at) as ada:
            await ada.succeeds()
        await us.at_rest()


@pytest.mark.parametrize("name", ["uac_late_offer", "uac_reinvite_without_offer", "uac_holds", "uac_wrong_offer", "uac_session_timer"])
async def test_descriptions_and_changes(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with station(media) as us, scenario(name, tmp_path / "a", target=us.at) as ada:
        call = await us.next_call()
        await ada.succeeds()
        await call.ended()


async def test_a_reliable_response_waits_for_its_prack(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us:
        us.behave = lambda sip: us.answer(sip, early=True)
        async with scenario("uac_prack", tmp_path / "a", target=us.at) as ada:
            call = await us.next_call()
            await ada.succeeds()
            await call.ended()


async def test_digits_by_info(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us, scenario("uac_info_digit", tmp_path / "a", target=us.at) as ada:
        call = await us.next_call()
        await ada.succeeds()
        assert call.digits == "5#"


async def test_waits_to_be_hung_up(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us, scenario("uac_waits", tmp_path / "a", target=us.at) as ada:
        call = await us.next_call()
        await call.hang_up()
        await ada.succeeds()


async def test_never_acknowledges_the_answer(tmp_path: Path, media: MediaThread) -> None:
    async with station(media, timing=QUICK) as us, scenario("uac_never_acks", tmp_path / "a", target=us.at) as ada:
        call = await us.next_call()
        await call.ended()
        await ada.succeeds()
        await us.at_rest()


@pytest.mark.parametrize("name", ["uac_unknown_extension", "uac_options"])
async def test_asks_for_what_we_can(tmp_path: Path, media: MediaThread, name: str) -> None:
    passwords = USERS if name == "uac_options" else None
    async with station(media, passwords=passwords) as us, scenario(name, tmp_path / "a", target=us.at) as ada:
        await ada.succeeds()
