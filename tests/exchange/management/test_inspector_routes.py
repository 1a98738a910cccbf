"""The inspector's page: from the package, for this machine, nothing from elsewhere, no secret in it; what it asks for wants the token."""

import base64
import re
from pathlib import Path

import aiohttp
import pytest

from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.management import inspector_routes
from sinchphone.exchange.server import Exchange
from tests.exchange.conftest import SECRETS

PAGE = "/__sinchphone/"
FOLDER = Path(inspector_routes.__file__).with_name("inspector")
FILES = sorted(file.name for file in FOLDER.iterdir())
TOKEN = management_token(base64.b64decode(SECRETS["acme"]))


async def test_the_page_takes_nothing_from_elsewhere_and_runs_nothing_that_is_written_into_it(
    exchange: Exchange, http: aiohttp.ClientSession
) -> None:
    async with http.get(exchange.url + PAGE) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert TOKEN not in await answer.text()


@pytest.mark.parametrize("name", FILES)
async def test_every_file_of_the_page_is_served_as_what_it_is(exchange: Exchange, http: aiohttp.ClientSession, name: str) -> None:
    async with http.get(f"{exchange.url}{PAGE}page/{name}") as answer:
        assert answer.status == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert await answer.read() == (FOLDER / name).read_bytes()


def test_the_page_names_no_other_host_and_makes_no_html_of_texts() -> None:
    for name in FILES:
        text = (FOLDER / name).read_text()
        assert not [url for url in re.findall(r"https?://[\w./-]+", text) if url != "http://www.w3.org/2000/svg"], name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+=\"", text), name


@pytest.mark.parametrize("name", ["nothing.js", "..%2f..%2faccess.py", "access.py", "%00", "index.html%00.js"])
async def test_no_other_file_is_served(exchange: Exchange, http: aiohttp.ClientSession, name: str) -> None:
    async with http.get(f"{exchange.url}{PAGE}page/{name}") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize("path", ["", "page/main.js", "rooms", "recordings"])
async def test_a_page_from_elsewhere_gets_nothing(
    exchange: Exchange, http: aiohttp.ClientSession, path: str, headers: dict[str, str]
) -> None:
    async with http.get(f"{exchange.url}{PAGE}{path}", headers={"Authorization": f"Bearer {TOKEN}", **headers}) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("path", ["rooms", "recordings", "recordings/x.wav"])
async def test_what_the_page_asks_for_wants_the_token(exchange: Exchange, http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(f"{exchange.url}{PAGE}{path}") as answer:
        assert answer.status == 401
    async with http.get(f"{exchange.url}{PAGE}{path}", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == (404 if path.endswith("wav") else 200)
