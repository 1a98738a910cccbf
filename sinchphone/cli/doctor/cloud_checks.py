"""The start sequence with the cloud, step by step: which one fails, and what the platform answered. Each stands on those before it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from sinchphone.cli.addressing.recent import user_of
from sinchphone.cli.calling.phone import open_environment
from sinchphone.cli.doctor.finding import TRY_AGAIN_HINT, Finding
from sinchphone.cli.terminal.output.listings import CheckResult
from sinchphone.cli.terminal.run import problem_of, root_of
from sinchphone.cli.terminal.session import Session
from sinchphone.credentials import read_beside
from sinchphone.errors import NetworkError, NotFoundError
from sinchphone.signaling.api import Api
from sinchphone.tasks import cancel_all, start_task

if TYPE_CHECKING:
    from sinchphone.engine.environment import Environment
    from sinchphone.engine.link import Link

STEP_SECONDS: Final = 30.0
CLOUD_CHECKS: Final = ("cloud-names", "cloud-credentials", "cloud-token", "cloud-register", "cloud-pubsub", "cloud-ice-servers")
_LEARN: Final = "sinchphone cloud learn PATH, with a copy of sinch-rtc 2.x; sinchphone help cloud"


async def check_cloud(session: Session) -> AsyncIterator[tuple[str, Finding]]:
    """The names of the checks and what they found; after one that fails the others are skipped."""
    walk = _Walk(session)
    steps: tuple[Callable[[], Awaitable[Finding]], ...] = (
        walk.names,
        walk.credentials,
        walk.token,
        walk.register,
        walk.pubsub,
        walk.ice_servers,
    )
    failed = ""
    async with walk.stack:
        for name, step in zip(CLOUD_CHECKS, steps, strict=True):
            if failed:
                yield name, Finding(CheckResult.SKIPPED, f"needs {failed}")
                continue
            try:
                async with asyncio.timeout(STEP_SECONDS):
                    finding = await step()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
                finding = _problem(error)
            yield name, finding
            failed = name if finding.result is CheckResult.PROBLEM else ""


def _problem(error: Exception) -> Finding:
    root = root_of(error)
    if isinstance(root, TimeoutError):
        return Finding(CheckResult.PROBLEM, f"no answer within {STEP_SECONDS:g} s", TRY_AGAIN_HINT)
    problem = problem_of(root)
    hint = _LEARN if isinstance(root, NotFoundError) else problem.hint
    return Finding(CheckResult.PROBLEM, problem.message, hint)


class _Walk:
    """What one step leaves for the next."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.stack = AsyncExitStack()
        self._environment: Environment | None = None
        self._link: Link | None = None

    async def names(self) -> Finding:
        from sinchphone.signaling.ocra.learning.learned import LearnedNames

        options = self._session.options
        if options.api is not Api.OCRA:
            return Finding(CheckResult.OK, "the older dialect's, which the official client proves")
        learned = LearnedNames.read(options.state_path)
        if learned is None:
            return Finding(CheckResult.WARNING, "ours: nobody could see the cloud's own", _LEARN)
        return Finding(CheckResult.OK, f"learned: operations {len(learned.operations)}")

    async def credentials(self) -> Finding:
        self._environment = environment = await read_beside(partial(open_environment, self._session.options))
        self.stack.push_async_callback(environment.close)
        return Finding(CheckResult.OK, f"application {environment.application_key}, user {user_of(self._session.options)}")

    async def token(self) -> Finding:
        assert self._environment is not None, "a step before"
        token = await self._environment.token(user_of(self._session.options))
        return Finding(CheckResult.OK, f"made, {len(token)} characters")

    async def register(self) -> Finding:
        from sinchphone.engine.link import Link
        from sinchphone.signaling.rest.instances import MemoryInstanceStore

        assert self._environment is not None, "a step before"
        user = user_of(self._session.options)
        link = Link(self._environment, user, MemoryInstanceStore(), takes_calls=False, on_frame=lambda frame: None, tell=lambda event: None)
        registration = await link.open()
        self._link = link
        self.stack.push_async_callback(link.close)
        policy = ", calls by relays only" if registration.relay_only else ""
        return Finding(CheckResult.OK, f"instance {registration.instance.id}, pub/sub at {registration.pubsub.origin}{policy}")

    async def pubsub(self) -> Finding:
        assert self._link is not None, "a step before"
        running, ready = start_task(self._link.run(), name="line"), start_task(self._link.ready.wait(), name="line ready")
        try:
            await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=STEP_SECONDS / 2)
            if running.done():
                await running
            if not ready.done():
                raise NetworkError(f"the channels aren't heard: {self._link.interrupted_by or 'no answer'}")
        finally:
            await cancel_all((running, ready))
        return Finding(CheckResult.OK, "both networks are subscribed")

    async def ice_servers(self) -> Finding:
        assert self._link is not None, "a step before"
        try:
            servers = await self._link.dialect.ice_servers()
        except NotFoundError as error:
            return Finding(CheckResult.WARNING, f"none: {error}", _LEARN)
        return Finding(CheckResult.OK, f"the platform names {len(servers)}")
