"""A token source that fails is a matter of who we are: told as such, with its reason, in bounded time."""

import asyncio

import pytest

from sinchphone.engine import environment
from sinchphone.engine.environment import Cloud
from sinchphone.errors import AuthenticationError, NetworkError
from sinchphone.tasks import start_task


async def test_what_a_token_source_raises_is_the_cause_of_an_authentication_error() -> None:
    async def source(user: str) -> str:
        raise KeyError(user)

    with pytest.raises(AuthenticationError, match="KeyError: 'ada'") as caught:
        await Cloud("key", token_source=source).token("ada")
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.hint


async def test_a_token_source_that_never_answers_ends_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "TOKEN_S", 0.01)

    async def source(user: str) -> str:
        await asyncio.Event().wait()
        return user

    with pytest.raises(AuthenticationError, match=r"no token within 0\.01 s") as caught:
        await Cloud("key", token_source=source).token("ada")
    assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize("answer", [None, "", b"token", 7])
async def test_a_token_source_that_gives_no_text_gave_no_token(answer: object) -> None:
    async def source(user: str) -> object:
        return answer

    with pytest.raises(AuthenticationError, match="gave no token"):
        await Cloud("key", token_source=source).token("ada")  # type: ignore[arg-type]


async def test_errors_that_say_what_happened_stay_as_they_are() -> None:
    async def source(user: str) -> str:
        raise NetworkError("the backend can't be reached")

    with pytest.raises(NetworkError, match="backend"):
        await Cloud("key", token_source=source).token("ada")


async def test_cancelling_is_no_error_of_the_source() -> None:
    async def source(user: str) -> str:
        await asyncio.Event().wait()
        return user

    asking = start_task(Cloud("key", token_source=source).token("ada"), name="token")
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
