"""A developer's backend, and people and phones on an exchange that asks it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sinchphone.media.thread import MediaThread
from tests.e2e.backend.backend_lab import Backend, exchange_of, serving


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with serving() as found:
        yield found


@pytest.fixture
async def town(tmp_path_factory: Any, media: MediaThread, lines: Any, backend: Backend) -> AsyncIterator[Any]:
    async with exchange_of(tmp_path_factory, media, backend.url) as local:
        yield type(lines)(local, media, lines.stack)
        await lines.stack.aclose()
