"""A key and secret of one's own for the local exchange: for who starts it and for whoever is to find it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sinchphone.config import load
from sinchphone.credentials import read_local_application
from sinchphone.errors import ConfigError
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.local import Local
from sinchphone.local.background.settings import HostSettings

SECRET = base64.b64encode(b"s" * 32).decode()


def private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def test_the_pair_comes_from_the_environment_or_a_private_file(tmp_path: Path) -> None:
    assert read_local_application(load(environ={}).options) is None
    environ = {"SINCHPHONE_EXCHANGE_KEY": "acme", "SINCHPHONE_EXCHANGE_SECRET": SECRET}
    given = read_local_application(load(environ=environ).options)
    assert given == ApplicationCredentials("acme", SECRET) and SECRET not in repr(given)
    file = private(tmp_path / "secret", SECRET + "\n")
    options = load({"exchange.application_key": "acme", "exchange.application_secret_file": str(file)}, environ={}).options
    assert read_local_application(options) == given
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        read_local_application(options)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"SINCHPHONE_EXCHANGE_KEY": "acme"}, "no secret"),
        ({"SINCHPHONE_EXCHANGE_SECRET": SECRET}, "no key"),
        ({"SINCHPHONE_EXCHANGE_KEY": "acme", "SINCHPHONE_EXCHANGE_SECRET": "not base64!"}, "not base64"),
        ({"SINCHPHONE_EXCHANGE_KEY": "a:b/..", "SINCHPHONE_EXCHANGE_SECRET": SECRET}, "must be a key"),
    ],
)
def test_half_a_pair_or_none_is_refused(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_local_application(load(environ=environ).options)


def test_the_secret_is_neither_in_a_file_of_configuration_nor_shown(
    sinchphone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.toml").write_text(f'[exchange]\napplication_secret = "{SECRET}"\n')
    assert sinchphone("config", "show", "--config", str(tmp_path / "c.toml")).code == 14
    monkeypatch.setenv("SINCHPHONE_EXCHANGE_SECRET", SECRET)
    shown = sinchphone("config", "show")
    assert SECRET not in shown.out + shown.err and "exchange.application_secret" in shown.out


def test_the_process_in_the_background_is_told_it_as_its_secrets_are_and_another_pair_is_another_exchange() -> None:
    given = HostSettings(folder=Path("/state"), application=ApplicationCredentials("acme", SECRET))
    assert HostSettings.read(given.write()) == given
    assert SECRET not in repr(given)
    assert "application" not in json.loads(HostSettings(folder=Path("/state")).write())


async def test_an_exchange_with_the_pair_proves_it_and_nobody_elses_is_taken_for_it(tmp_path: Path) -> None:
    given = ApplicationCredentials("acme", SECRET)
    async with Local(tmp_path, port=0, application=given, keep=False) as first:
        assert (first.application_key, first.secret) == ("acme", SECRET)
        port = int(first.url.rpartition(":")[2])
        async with Local(tmp_path / "elsewhere", port=port, application=given) as second:
            assert not second.hosting and await second.management.texts() == []
        with pytest.raises(Exception, match="not yours"):
            async with Local(tmp_path / "other", port=port):
                pass
