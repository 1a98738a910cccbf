"""The package's sources, parsed once in each process: that takes longer than most of what is looked at."""

import ast
import functools
import gc
from pathlib import Path
from typing import Final, TypeAlias

import sinchphone

PACKAGE: Final = Path(sinchphone.__file__).parent

Sources: TypeAlias = dict[Path, tuple[str, ast.Module]]


@functools.cache
def parsed_sources() -> Sources:
    """Text and tree of each file. The garbage collector, which would take two thirds of the time, waits, and never looks at them again."""
    gc.disable()
    try:
        return {path: (text := path.read_text(), ast.parse(text)) for path in sorted(PACKAGE.rglob("*.py"))}
    finally:
        gc.freeze()
        gc.enable()
