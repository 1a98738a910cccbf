"""The inbox of text messages: what it keeps, for whom, and how much of it."""

from pathlib import Path

from sinchphone.exchange.sms.inbox import MAX_MESSAGES, MAX_TEXT_CHARACTERS, TEXTS_KEPT_SECONDS, SmsInbox
from sinchphone.exchange.store.sqlite import SqliteStore

ADA, BOB = "+46700000001", "+46700000002"
NOW = 1_800_000_000.0


def test_a_text_is_there_for_its_application_and_number_alone() -> None:
    inbox = SmsInbox(SqliteStore(None))
    told = inbox.deliver("acme", sender="Acme", number=ADA, text="your code is 0042", now=NOW)
    inbox.deliver("acme", sender=None, number=BOB, text="hi", now=NOW + 1)
    assert [(one.sender, one.number, one.text, one.at) for one in inbox.messages("acme", ADA)] == [("Acme", ADA, "your code is 0042", NOW)]
    assert [one.number for one in inbox.messages("acme")] == [ADA, BOB]
    assert inbox.messages("globex") == []
    assert inbox.batch("acme", told.batch) == [told] and inbox.batch("globex", told.batch) == []


def test_the_oldest_makes_room_and_a_text_has_a_limit() -> None:
    inbox = SmsInbox(SqliteStore(None))
    for number in range(MAX_MESSAGES + 3):
        inbox.deliver("acme", sender=None, number=ADA, text=f"{number} " + "x" * MAX_TEXT_CHARACTERS, now=NOW)
    kept = inbox.messages("acme")
    assert len(kept) == MAX_MESSAGES and kept[0].text.startswith("3 ")
    assert {len(one.text) for one in kept} == {MAX_TEXT_CHARACTERS}


def test_texts_are_not_written_where_the_object_is_shown() -> None:
    inbox = SmsInbox(SqliteStore(None))
    assert "0042" not in repr(inbox.deliver("acme", sender=None, number=ADA, text="your code is 0042", now=NOW))


async def test_what_came_is_there_after_a_restart_until_it_is_cleared_or_too_old(tmp_path: Path) -> None:
    async def opened(now: float) -> tuple[SqliteStore, SmsInbox]:
        store = SqliteStore(tmp_path / "exchange.sqlite3")
        await store.open()
        inbox = SmsInbox(store)
        await inbox.recall(now)
        return store, inbox

    store, inbox = await opened(NOW)
    inbox.deliver("acme", sender="Acme", number=ADA, text="old", now=NOW)
    inbox.deliver("acme", sender=None, number=ADA, text="new", now=NOW + TEXTS_KEPT_SECONDS / 2)
    inbox.deliver("globex", sender=None, number=BOB, text="another's", now=NOW + TEXTS_KEPT_SECONDS / 2)
    await store.close()

    store, inbox = await opened(NOW + TEXTS_KEPT_SECONDS / 2)
    assert [(one.sender, one.text) for one in inbox.messages("acme")] == [("Acme", "old"), (None, "new")]
    await store.close()

    store, inbox = await opened(NOW + TEXTS_KEPT_SECONDS + 1)
    assert [one.text for one in inbox.messages("acme")] == ["new"]
    assert await inbox.forget("acme") == 1
    await store.close()

    store, inbox = await opened(NOW + TEXTS_KEPT_SECONDS + 1)
    assert inbox.messages("acme") == [] and [one.text for one in inbox.messages("globex")] == ["another's"]
    await store.close()
