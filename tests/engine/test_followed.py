"""Where a peer may send us: whom we call on another's word, whom we don't, and what it's told of that."""

import pytest

from sinchphone.engine.calls.details import CallDetails
from sinchphone.engine.calls.transfers.followed import REPLACED, destination_of, news_of
from sinchphone.errors import ForbiddenError, NotFoundError, SinchphoneError, TransferError
from sinchphone.protocol.call.states import Cause
from sinchphone.protocol.call.transfer_events import TransferNews, TransferWish
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.signaling.dialect import Domain


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("carol", (Domain.MXP, "carol")),
        ("conf:standup", (Domain.CONFERENCE, "standup")),
        ("carol@pbx.example", (Domain.SIP, "carol@pbx.example")),
        ("sip:carol@pbx.example", (Domain.SIP, "carol@pbx.example")),
        ("sips:carol@pbx.example", (Domain.SIP, "sips:carol@pbx.example")),
    ],
)
def test_users_rooms_and_addresses_are_called(to: str, where: tuple[Domain, str]) -> None:
    assert destination_of(TransferWish(to)) == where


@pytest.mark.parametrize(
    "to", ["+46700000000", "0046700000000", "112", "sip:+46700000000@pbx.example", "sips:118118@pbx.example", "+46 70 000"]
)
def test_toll_fraud_nobody_has_us_call_a_number(to: str) -> None:
    with pytest.raises(TransferError) as refused:
        destination_of(TransferWish(to))
    assert refused.value.status == 403


@pytest.mark.parametrize("to", ["+46700000000", "carol@pbx.example", "sips:118118@pbx.example"])
def test_in_the_place_of_a_call_that_goes_on_nobody_is_called_anew(to: str) -> None:
    assert destination_of(TransferWish(to, "its-id")) == (Domain.MXP, REPLACED)
    assert destination_of(TransferWish("carol", "its-id")) == (Domain.MXP, "carol")


def test_what_is_nobody_is_refused() -> None:
    with pytest.raises(TransferError) as refused:
        destination_of(TransferWish(" carol"))
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("cause", "failure", "error", "news"),
    [
        (Cause.DENIED, CallFailure(486, "Busy here"), None, TransferNews(486, "Busy here")),
        (Cause.DENIED, None, None, TransferNews(603, "denied")),
        (Cause.NO_ANSWER, None, None, TransferNews(480, "no answer")),
        (Cause.FAILURE, CallFailure(3002, "no way"), None, TransferNews(500, "no way")),
        (Cause.FAILURE, None, NotFoundError("nobody"), TransferNews(404, "nobody")),
        (Cause.FAILURE, None, ForbiddenError("no"), TransferNews(403, "no")),
    ],
)
def test_who_sent_us_is_told_why_it_came_to_nothing(
    cause: Cause, failure: CallFailure | None, error: SinchphoneError | None, news: TransferNews
) -> None:
    assert news_of(CallDetails(0.0, cause=cause, failure=failure, error=error)) == news
