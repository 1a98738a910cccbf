"""A configuration file as an attack: one that never ends, takes for ever, or sends the token to somebody else."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.config import check_depth, load
from sinchphone.errors import ConfigError

LIMIT_SECONDS = 5.0  # of CPU, and traced; what takes for ever takes hours at these sizes
PATIENCE_SECONDS = 30.0


def refused(text: str | None = None, match: str | None = "sinchphone.toml") -> ConfigError:
    """The error that a project's file is, which must come soon."""
    if text is not None:
        Path("sinchphone.toml").write_text(text)
    began = time.thread_time()
    with pytest.raises(ConfigError, match=match) as error:
        load(environ={})
    assert time.thread_time() - began < LIMIT_SECONDS
    return error.value


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
async def test_attack_a_pipe_in_place_of_the_file_does_not_hang() -> None:
    os.mkfifo("sinchphone.toml")
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ConfigError, match="not a regular file"):
            await asyncio.to_thread(load, environ={})


def test_attack_a_device_or_a_folder_in_place_of_the_file() -> None:
    Path("sinchphone.toml").symlink_to("/dev/zero")
    refused(match="not a regular file")
    Path("sinchphone.toml").unlink()
    Path("sinchphone.toml").mkdir()
    refused()


@pytest.mark.parametrize(
    "text",
    [
        "a." * 30_000 + "a = 1",
        '"a".' * 15_000 + "a = 1",
        "'a' . " * 10_000 + "a = 1",
        "[" + "a." * 30_000 + "a]",
        "x = { " + "a." * 30_000 + "a = 1 }",
        "a = " + "[" * 50_000 + "]" * 50_000,
        "a = " + "{a=" * 20_000 + "1" + "}" * 20_000,
        "a = " + "[" * 50_000,
        "a" * 900_000 + " = 1",
        "a = " + "9" * 900_000,
        'a = "' + '\\"' * 400_000,
        "a = '" + "'a" * 400_000,
        '"""' * 300_000,
        "[profiles." + "x" * 500_000 + "]\nusr = 1",
        "profile = '" + "x" * 500_000 + "'",
        "a.b = 1\n" * 60_000,
    ],
)
def test_attack_a_file_that_takes_for_ever_to_be_read(text: str) -> None:
    error = refused(text, match=None)
    assert len(str(error)) + len(error.hint) < 2_000


@given(st.text(alphabet="ab.='\"\\#[]{}\n, 1", max_size=300))
def test_what_is_measured_before_it_is_read_never_raises_anything_but_what_is_caught(text: str) -> None:
    try:
        check_depth(text)
    except ValueError:
        assert text.count(".") + text.count("[") + text.count("{") >= 16


@pytest.mark.parametrize("inside", ['"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t"', '"[[[[[[[[[[[[[[[[[[[[[["', "# [[[[[[[[[[[[[[[[[[[[\n1"])
def test_what_stands_in_quotes_or_comments_is_not_counted(inside: str) -> None:
    check_depth(f"a = {inside}")


@pytest.mark.parametrize("key", ["port", "tls_port"])
def test_attack_a_project_file_cannot_send_the_token_to_another_port(key: str) -> None:
    refused(f"[exchange]\n{key} = 4601", match="just lies in the folder")
    refused(f"[profiles.work.exchange]\n{key} = 4601", match="just lies in the folder")


def test_a_project_file_may_ask_for_a_free_port() -> None:
    Path("sinchphone.toml").write_text("[exchange]\nport = 0\n")
    assert load(environ={}).options.exchange.port == 0


def test_a_file_that_was_named_may_set_the_port() -> None:
    Path("sinchphone.toml").write_text("[exchange]\nport = 4601\n")
    assert load(file=Path("sinchphone.toml"), environ={}).options.exchange.port == 4601
