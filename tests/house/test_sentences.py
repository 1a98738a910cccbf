"""What an error or a warning says stands behind ``error:``, ``warning:`` or ``hint:``: a small letter first, no full stop at the end."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.parsed_sources import PACKAGE, parsed_sources

# Names that begin a sentence. Acronyms (SIP, SINCH_…), options and file names need none.
NAMES = ("Sinch", "Redis", "Janus", "Authorization", "PortAudio", "FFmpeg", "G.722")
CAPITAL = re.compile(r"[A-Z][a-z]*[\s,;:.]")
# What the wire's protocols say in their own words.
WIRE = (
    "exchange/pubnub/",
    "exchange/pubsub/",
    "exchange/directory/",
    "exchange/messages/postbox.py",
    "exchange/verifications/",
    "gateway/",
)


def sentences(tree: ast.Module) -> Iterator[tuple[ast.expr, bool]]:
    """Each text that is a hint, or the message of an error or a warning; whether it is a hint."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            told = name.endswith(("Error", "Warning", "Warned", "Problem", "BadParameter"))
            for keyword in node.keywords:
                if keyword.arg == "hint" or (keyword.arg == "message" and told):
                    yield from ((one, keyword.arg == "hint") for one in texts(keyword.value))
            if told and node.args:
                yield from ((one, False) for one in texts(node.args[0]))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any("hint" in ast.unparse(one).lower() for one in targets):
                yield from ((one, True) for one in texts(node.value))
        elif isinstance(node, ast.FunctionDef) and "hint" in node.name:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from ((one, True) for one in texts(inner.value))


def texts(value: ast.expr) -> Iterator[ast.expr]:
    """The literals that a value may be."""
    match value:
        case ast.Constant(value=str()) | ast.JoinedStr():
            yield value
        case ast.IfExp():
            yield from (*texts(value.body), *texts(value.orelse))
        case ast.BoolOp(values=choices) | ast.Dict(values=choices):
            for one in choices:
                yield from texts(one)


def shown(text: ast.expr) -> str:
    """As it reads, with ``x`` for what is filled in."""
    match text:
        case ast.Constant(value=str(words)):
            return words
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
    return ""


def faults(words: str, *, is_hint: bool) -> list[str]:
    """What is wrong with a sentence."""
    found = []
    if CAPITAL.match(words) and not words.startswith(NAMES):
        found.append("begins with a capital")
    if words.endswith(".") and not words.endswith("..."):
        found.append("ends with a full stop")
    if is_hint and re.search(r"\w\. [A-Z]", words):
        found.append("is more than one sentence: a semicolon joins them")
    return found


def test_errors_warnings_and_hints_begin_with_a_small_letter_and_end_without_a_full_stop() -> None:
    wrong = []
    for path, (_, tree) in parsed_sources().items():
        place = path.relative_to(PACKAGE).as_posix()
        for text, is_hint in sentences(tree):
            if is_hint or not place.startswith(WIRE):
                wrong += [f"{place}:{text.lineno}: {shown(text)!r} {fault}" for fault in faults(shown(text), is_hint=is_hint)]
    assert wrong == []


@pytest.mark.parametrize(
    "written",
    [
        'raise NetworkError("it is away", hint="Check the network.")',
        'hint = "Check the network"',
        'raise NetworkError("There is no network")',
        'HINTS = {1: f"{name} is away."}',
        'tell(Warned(message="slow", hint="it is away. Try again"))',
        'def hint_of(one):\n    return one or "Check it"',
    ],
)
def test_a_sentence_that_is_written_otherwise_is_found(written: str) -> None:
    assert [fault for text, is_hint in sentences(ast.parse(written)) for fault in faults(shown(text), is_hint=is_hint)]
