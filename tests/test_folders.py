"""Our folders are platformdirs' own, though it isn't imported for them."""

import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from sinchphone.folders import config_folder, state_folder


@pytest.mark.parametrize("value", [None, "", " ", "/tmp/elsewhere", " /tmp/spaces ", "/tmp/", "relative/folder", "~/mine"])
def test_the_folders_are_those_of_the_platform(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert state_folder() == platformdirs.user_state_path("sinchphone")
    assert config_folder() == platformdirs.user_config_path("sinchphone")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="their folders are platformdirs' to know")
def test_a_home_that_only_the_password_file_knows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert state_folder() == platformdirs.user_state_path("sinchphone")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="their folders are platformdirs' to know")
def test_nothing_else_is_imported_to_find_them(tmp_path: Path) -> None:
    program = "import sys; from sinchphone.config import load; load().options.state_path; print('platformdirs' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "False"
