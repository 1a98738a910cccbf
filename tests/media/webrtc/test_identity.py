"""Certificates that are made ahead of the calls that they are for."""

import asyncio
import threading

import pytest

from sinchphone.media.webrtc import secure
from sinchphone.media.webrtc.identity import DtlsCertificate, DtlsIdentity, IdentityStock
from sinchphone.tasks import start_task


def test_each_identity_is_given_out_once_whoever_fills_the_stock_meanwhile() -> None:
    stock = IdentityStock()
    fillers = [threading.Thread(target=stock.fill) for _ in range(4)]
    for filler in fillers:
        filler.start()
    for filler in fillers:
        filler.join()
    taken = [stock.take() for _ in range(5)]
    assert len({each.local.fingerprints for each in taken}) == len({each.local.password for each in taken}) == 5


def test_an_identity_from_the_stock_has_all_that_a_connection_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = IdentityStock()
    stock.fill()

    def too_late() -> DtlsIdentity:
        raise AssertionError("it was to be there already")

    monkeypatch.setattr(DtlsIdentity, "create", too_late)
    made = [stock.take(), stock.take()]
    assert all(each.certificate._context is not None for each in made)


def test_a_certificate_that_has_waited_for_a_day_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    stock, now = IdentityStock(), 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    stock.fill()
    old = {each.local.fingerprints for _, each in stock._ready}
    now += 24 * 3600
    assert stock.take().local.fingerprints not in old


def test_all_connections_of_a_certificate_share_one_context() -> None:
    certificate = DtlsCertificate.generateCertificate()
    certificate.prepare()
    context = certificate._context
    certificate.prepare()
    assert certificate._context is context


async def test_the_next_ones_are_made_once_a_call_is_over_or_in_full_course_and_not_while_its_ends_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stock = IdentityStock()
    monkeypatch.setattr(secure, "IDENTITIES", stock)
    monkeypatch.setattr(secure, "_IDLE_SECONDS", 30.0)
    closing = asyncio.Event()
    preparing = start_task(secure._prepare_the_next(closing), name="preparing")
    await asyncio.sleep(0.01)
    assert not stock._ready
    closing.set()
    await preparing
    assert len(stock._ready) == 2
    stock.take()
    monkeypatch.setattr(secure, "_IDLE_SECONDS", 0.0)
    await secure._prepare_the_next(asyncio.Event())
    assert len(stock._ready) == 2
