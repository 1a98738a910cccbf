"""One verification: who has guessed the code, and how it ends."""

from contextlib import ExitStack

import pytest

from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.exchange.verifications.verification import MAX_GUESSES, FailureReason, Verification
from sinchphone.exchange.verifications.verifications import MAX_KEPT, Verifications
from sinchphone.protocol.verification import VerificationMethod, VerificationStatus

NUMBER = "+46700000001"


def verification(code: str = "0042", method: VerificationMethod = VerificationMethod.SMS, name: str = "one") -> Verification:
    return Verification(id=name, application="acme", method=method, number=NUMBER, code=code, began_at=0.0, expires_at=300.0)


def test_a_code_is_a_text_whose_zeros_count() -> None:
    one = verification("0042")
    assert not one.guess("42", "manual", 1.0)
    assert one.guess("0042", "manual", 2.0)
    assert one.status is VerificationStatus.SUCCESSFUL


def test_a_typo_does_not_burn_the_right_code() -> None:
    one = verification()
    assert not any(one.guess("9999", "manual", 1.0) for _ in range(MAX_GUESSES - 1))
    assert one.guess("0042", "manual", 2.0)


def test_too_many_wrong_codes_end_it_and_the_right_one_comes_too_late() -> None:
    one = verification()
    assert not any(one.guess("9999", "manual", 1.0) for _ in range(MAX_GUESSES))
    assert not one.guess("0042", "manual", 2.0)
    assert (one.status, one.reason) == (VerificationStatus.FAIL, FailureReason.INVALID_CODE)


def test_the_right_code_counts_once() -> None:
    one = verification()
    assert [one.guess("0042", "manual", 1.0) for _ in range(2)] == [True, False]
    assert one.status is VerificationStatus.SUCCESSFUL


def test_after_its_time_it_has_failed() -> None:
    one = verification()
    assert not one.guess("0042", "manual", 300.0)
    assert (one.status, one.reason) == (VerificationStatus.FAIL, FailureReason.EXPIRED)


@pytest.mark.parametrize("told", ["+12025550142", "12025550142", "0012025550142", "(202) 555-0142", "2025550142"])
def test_the_number_of_a_flash_call_may_be_told_as_phones_show_it(told: str) -> None:
    assert verification("+12025550142", VerificationMethod.FLASH_CALL).guess(told, "manual", 1.0)


@pytest.mark.parametrize("told", ["+12025550143", "withheld", "", "42"])
def test_another_number_is_wrong(told: str) -> None:
    assert not verification("+12025550142", VerificationMethod.FLASH_CALL).guess(told, "manual", 1.0)


def test_a_new_code_makes_the_one_before_void_where_it_went_out() -> None:
    kept = Verifications(SqliteStore(None))
    first, second = verification(name="first"), verification("1111", name="second")
    assert kept.begin(first, ExitStack()) is None
    assert kept.begin(second, ExitStack()) is first
    assert first.status is VerificationStatus.ABORTED
    assert kept.of_number("acme", VerificationMethod.SMS, NUMBER) is second
    assert kept.of_number("globex", VerificationMethod.SMS, NUMBER) is None


def test_the_oldest_makes_room() -> None:
    kept = Verifications(SqliteStore(None))
    for index in range(MAX_KEPT + 1):
        kept.begin(verification(name=str(index)), ExitStack())
    assert kept.of_id("acme", "0") is None
    assert kept.of_id("acme", "1") is not None


def test_what_began_is_taken_back_with_the_one_that_it_made_void_and_the_one_that_made_room() -> None:
    kept, undo = Verifications(SqliteStore(None)), ExitStack()
    for index in range(MAX_KEPT):
        kept.begin(verification(name=str(index)), ExitStack())
    newest = str(MAX_KEPT - 1)
    kept.begin(verification(name="refused"), undo)
    undo.close()
    assert kept.of_id("acme", "refused") is None
    assert kept.of_id("acme", "0") is not None
    assert (found := kept.of_id("acme", newest)) is not None and found.status is VerificationStatus.PENDING


def test_a_guess_that_is_taken_back_never_was_unless_another_came_after_it() -> None:
    kept, first, second = Verifications(SqliteStore(None)), ExitStack(), ExitStack()
    one = verification()
    kept.add(one, ExitStack())
    with kept.change(one, first):
        assert one.guess(one.code, "manual", 1.0)
    with kept.change(one, second):
        assert not one.guess(one.code, "manual", 1.0)
    second.close()
    assert (kept.of_id("acme", one.id) or one).status is VerificationStatus.SUCCESSFUL
    first.close()
    assert (kept.of_id("acme", one.id) or one).status is VerificationStatus.PENDING
