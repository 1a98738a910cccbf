"""The inspector in Chromium: a call's ladder that grows as it's made, hostile names as texts, at the width of a phone and of a desk."""

import asyncio
import os
import time
import wave
from pathlib import Path
from typing import Any

import pytest
import quality_chromium

from sinchphone.engine.client import SinchClient
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread

HOSTILE = "<img src=x onerror=hacked=1>\u202egnp"


@pytest.fixture(autouse=True, scope="module")
def chromium() -> None:
    if quality_chromium.program() is None:
        (pytest.fail if os.environ.get("SINCHPHONE_REQUIRE_PEERS") else pytest.skip)("needs the package chromium")


class Page:
    """What a person does in the browser, and waits for."""

    def __init__(self, browser: Any, url: str) -> None:
        self._browser = browser
        self._url = url

    def open(self, token: str) -> None:
        self._browser.do("Page.navigate", url=f"{self._url}/__sinchphone/#{token}")
        self.until("document.querySelector('#nav a') !== null && document.readyState === 'complete'")

    def go(self, view: str) -> None:
        self.evaluate(f"location.hash = '#/{view}'")

    def evaluate(self, expression: str) -> Any:
        return self._browser.evaluate(expression)

    def until(self, expression: str) -> None:
        limit = time.monotonic() + 20
        while True:
            try:
                if self.evaluate(expression):
                    return
            except RuntimeError:  # the page is being left
                pass
            assert time.monotonic() < limit, (expression, self.evaluate("document.body.innerText"))
            time.sleep(0.05)

    def fill(self, **fields: str | bool) -> None:
        """Fill in the form, and send it."""
        for name, value in fields.items():
            field = f"document.querySelector('form [name={name}]')"
            self.evaluate(f"{field}.checked = {str(value).lower()}" if isinstance(value, bool) else f"{field}.value = {value!r}")
        self.evaluate("document.querySelector('form .primary').click()")

    def look(self, width: int, theme: str) -> None:
        self._browser.do("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self._browser.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    @property
    def text(self) -> str:
        return str(self.evaluate("document.body.innerText"))


async def test_a_call_is_seen_as_it_is_made_and_hostile_names_are_but_texts(tmp_path: Path) -> None:
    with MediaThread() as media:
        async with Local(tmp_path / "state", port=0, media=media) as local, SinchClient("ada", local, media=media) as ada:
            management = local.management
            await management.add_user(HOSTILE.partition("\u202e")[0])
            with quality_chromium.Chromium(Path(os.devnull), tmp_path / "browser") as browser:
                page = Page(browser, management.requests.url)
                await asyncio.to_thread(page.open, management.token)
                await asyncio.to_thread(page.until, "document.getElementById('live').textContent === 'live'")
                assert management.token not in page.evaluate("location.href")
                call = await ada.call_user("echo")
                await asyncio.to_thread(page.until, "document.querySelector('.list a')?.innerText.includes('echo')")
                page.go(f"calls/{call.id}")
                await asyncio.to_thread(page.until, "document.querySelectorAll('.arrow').length > 8")
                before = page.evaluate("document.querySelectorAll('.arrow').length")
                await call.hang_up()
                await asyncio.to_thread(page.until, f"document.querySelectorAll('.arrow').length > {before}")
                await asyncio.to_thread(page.until, "document.querySelector('.detail .state').textContent.includes('ended')")
                page.evaluate("document.querySelector('.said.rest').click()")
                assert "Authorization: Instance ***" in page.text
                for width in (400, 1400):
                    for theme in ("light", "dark"):
                        page.look(width, theme)
                        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, theme)
                page.go("users")
                await asyncio.to_thread(page.until, "document.body.innerText.includes('<img src=x')")
                assert page.evaluate("String(window.hacked)") == "undefined"
                for view in ("messages", "sms", "rooms", "recordings", "faults", "events"):
                    page.go(view)
                    await asyncio.to_thread(page.until, "document.querySelector('main').innerText.trim().length > 5")
                    assert "That isn't there" not in page.text, view
            with quality_chromium.Chromium(Path(os.devnull), tmp_path / "another") as browser:
                page = Page(browser, management.requests.url)
                await asyncio.to_thread(page.open, "0" * 64)
                await asyncio.to_thread(page.until, "document.body.innerText.includes('needs the exchange')")


def record_silence(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / name), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000 * 60))


async def test_recordings_play_on_when_others_come_and_faults_are_asked_for_and_ended(tmp_path: Path) -> None:
    async with Local(tmp_path / "state", port=0) as local:
        management, folder = local.management, tmp_path / "state" / "recordings"
        record_silence(folder, f"20260101000000_{local.application_key}_one.wav")
        with quality_chromium.Chromium(Path(os.devnull), tmp_path / "browser") as browser:
            page = Page(browser, management.requests.url)
            await asyncio.to_thread(page.open, management.token)
            page.go("recordings")
            await asyncio.to_thread(page.until, "document.querySelector('.card .primary') !== null")
            page.evaluate("document.querySelector('.card .primary').click()")
            await asyncio.to_thread(page.until, "document.querySelector('audio')?.currentTime > 0.05")
            record_silence(folder, f"20260101000001_{local.application_key}_two.wav")
            await asyncio.to_thread(page.until, "document.querySelectorAll('.card').length === 2")
            assert page.evaluate("document.querySelectorAll('.card')[1].querySelector('audio').paused") is False
            page.evaluate("document.querySelectorAll('.card')[0].querySelector(':scope > button').click()")
            await asyncio.to_thread(page.until, "document.querySelectorAll('.card').length === 1")
            assert [file.name[15:] for file in folder.iterdir()] == [f"{local.application_key}_one.wav"]
            page.go("faults")
            await asyncio.to_thread(page.until, "document.querySelector('form') !== null")
            page.fill(path="nowhere", status="503", times="2")
            await asyncio.to_thread(page.until, "document.querySelector('[role=alert]').innerText.includes('path')")
            page.fill(path=f"/{HOSTILE.partition(chr(0x202E))[0]}")
            await asyncio.to_thread(page.until, "document.querySelector('tbody tr')?.innerText.includes('onerror')")
            assert page.evaluate("document.querySelector('[role=alert]').hidden")
            assert page.evaluate("String(window.hacked)") == "undefined"
            assert await management.clear_faults() == 1
            await asyncio.to_thread(page.until, "document.querySelector('tbody tr') === null")
            page.fill(path="/health", status="", delayMs="1", drop=True)
            await asyncio.to_thread(page.until, "document.querySelector('tbody tr')?.innerText.includes('after 1 ms, dropped')")
            page.evaluate("document.querySelector('tbody button').click()")
            await asyncio.to_thread(page.until, "document.querySelector('tbody tr') === null")
            assert await management.clear_faults() == 0
