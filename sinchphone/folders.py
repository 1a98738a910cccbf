"""Where a user's files are: the platform's folders of state and configuration.

On POSIX systems other than macOS they are read from the environment here (XDG Base Directory Specification 0.8), since importing
platformdirs costs more than completing a word; on the others it knows them.
"""

import os
import sys
from pathlib import Path
from typing import Final, Literal

FOLDER_HINT: Final = (  # where one can't be used
    "check who owns it, and the space on the disk; state_dir in the configuration, or XDG_STATE_HOME, names another folder"
)
_NAME: Final = "sinchphone"
_DEFAULTS: Final = {"XDG_STATE_HOME": ".local/state", "XDG_CONFIG_HOME": ".config"}


def state_folder() -> Path:
    """Where registrations, history and contacts are kept."""
    if _has_xdg():
        return _xdg("XDG_STATE_HOME")
    import platformdirs

    return platformdirs.user_state_path(_NAME)


def config_folder() -> Path:
    """Where the user's configuration lies."""
    if _has_xdg():
        return _xdg("XDG_CONFIG_HOME")
    import platformdirs

    return platformdirs.user_config_path(_NAME)


def _has_xdg() -> bool:
    return os.name == "posix" and sys.platform != "darwin" and "ANDROID_DATA" not in os.environ


def _xdg(variable: Literal["XDG_STATE_HOME", "XDG_CONFIG_HOME"]) -> Path:
    """The variable's folder; one that isn't absolute counts as none."""
    named = Path(os.environ.get(variable, ""))
    return (named if named.is_absolute() else Path.home() / _DEFAULTS[variable]) / _NAME
