"""Users with a password, and sessions that go on in another program, against an exchange."""

from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.accounts import create_user
from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.errors import AuthenticationError, ConfigError, ForbiddenError, SinchphoneError
from sinchphone.local import Local

OLD, NEW = "correct horse battery staple", "wrong cow charger clip"


def logging_in(local: Local, password: str) -> Cloud:
    return Cloud(local.application_key, host=local.url, api="papi", password=password)


async def test_a_user_is_made_logs_in_calls_and_changes_the_password(local: Local, media: Any, steps: Any) -> None:
    await create_user(local, ["dora", "mailto:dora@example.org"], OLD)
    async with SinchClient("dora", logging_in(local, OLD), media=media) as dora:
        call = await dora.call_user("echo")
        assert await call.established()
        with pytest.raises(SinchphoneError):
            await dora.change_password("a wrong one, this is", NEW)
        await dora.change_password(OLD, NEW)
    with pytest.raises(AuthenticationError):
        await SinchClient("dora", logging_in(local, OLD), media=media).open()
    async with SinchClient("dora", logging_in(local, NEW), media=media) as dora:
        assert dora.is_started


async def test_a_name_is_taken_once(local: Local) -> None:
    await create_user(local, "dora", OLD)
    with pytest.raises(SinchphoneError):
        await create_user(local, "dora", NEW)


async def test_users_of_the_newer_rest_api_have_no_passwords(lines: Any) -> None:
    ada = await lines.phone("ada")
    with pytest.raises(ForbiddenError, match="no passwords"):
        await ada.change_password(OLD, NEW)
    with pytest.raises(ConfigError, match="papi only"):
        Cloud("key", password=OLD)


class Forgotten:
    """An environment that knows where the platform is, and has lost what proves the user."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def token(self, user_id: str, now: float | None = None) -> str:
        raise AuthenticationError("nobody gives proofs any more")


@pytest.mark.parametrize("api", ["ocra", "papi"])
async def test_a_session_goes_on_in_another_program_without_a_proof(api: str, media: Any, tmp_path: Path) -> None:
    async with Local(tmp_path, port=0, api=api, media=media) as local:
        async with SinchClient("ada", local, media=media) as first:
            session = first.session
        async with SinchClient("ada", Forgotten(local), media=media, session=session) as resumed:
            assert resumed.instance_id == session.id
            assert await (await resumed.call_user("echo")).established()


async def test_a_session_that_the_platform_does_not_know_is_registered_anew(lines: Any, media: Any, tmp_path: Path) -> None:
    async with Local(tmp_path, port=0, media=media) as elsewhere, SinchClient("ada", elsewhere, media=media) as there:
        session = there.session
    ada = await lines.phone("ada", session=session)
    assert ada.instance_id != session.id


async def test_a_session_is_its_users_alone(lines: Any, tmp_path: Path) -> None:
    session = (await lines.phone("ada")).session
    assert repr(session).find(session.secret.hex()) == -1
    for user, folder in (("bob", None), ("ada", tmp_path)):
        with pytest.raises(ConfigError):
            SinchClient(user, lines.local, session=session, state_dir=folder)
