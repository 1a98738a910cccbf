"""What is installed: all that the program reads at run time is in the wheel, and works from there."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIMIT_S = 100.0

TRY = """
import asyncio, sys, urllib.request
from pathlib import Path
import sinchphone
from sinchphone.exchange.management import inspector_routes
from sinchphone.local import Local

assert Path(sinchphone.__file__).is_relative_to(sys.argv[1]), sinchphone.__file__

def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()

async def main():
    async with Local(Path(sys.argv[2]), port=0, keep=False) as local:
        page = await asyncio.to_thread(get, local.url + inspector_routes.PAGE_PATH)
        assert b"page/main.js" in page
        assert b"import" in await asyncio.to_thread(get, f"{local.url}{inspector_routes.PAGE_PATH}page/main.js")
        assert await local.management.dial("+14155550100", "private")  # a recording is spoken

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None:
        (pytest.fail if os.environ.get("SINCHPHONE_REQUIRE_PEERS") else pytest.skip)("needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=LIMIT_S)
    (file,) = folder.glob("*.whl")
    return file


def test_every_file_of_the_package_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    kept = {path.relative_to(ROOT) for path in (ROOT / "sinchphone").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    with zipfile.ZipFile(wheel) as packed:
        names = {Path(name) for name in packed.namelist() if ".dist-info/" not in name}
        points = next(packed.read(name) for name in packed.namelist() if name.endswith("entry_points.txt"))
    assert names == kept
    assert {"inspector", "docs", "recordings"} <= {part for name in names for part in name.parts}
    assert b"[pytest11]" in points and b"sinchphone.cli.main:main" in points


def test_help_the_inspector_and_spoken_words_work_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "XDG_", "COV"))}
    environment = kept | {"PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-c", TRY, str(tmp_path / "site"), str(tmp_path / "state"))
    assert "pcapng" in run("-m", "sinchphone", "help", "trace")
