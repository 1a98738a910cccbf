"""What bash, zsh and fish are told when somebody presses Tab: the scripts that ask, and the answers in each shell's form.

Typer's own are the base. Ours ask with the whole line, since bash cuts words at ``@``, ``:`` and ``=`` (COMP_WORDBREAKS) and
``call @mum`` would arrive as three; and they take help as it is, since Typer loads Rich for each line of it.
"""

import os
import re
import shlex
from typing import Any, Final

from typer import _completion_shared as shared
from typer._click.shell_completion import CompletionItem, add_completion_class
from typer._completion_classes import BashComplete, FishComplete, ZshComplete

_LINE: Final = "_TYPER_COMPLETE_ARGS"
# ``typed`` is what bash has cut off in front of the word that it replaces ($2).
_BASH: Final = """
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" one
    local word="${line##*[[:space:]]}"
    local typed="${word%%"$2"}"
    COMPREPLY=()
    while read -r one; do
        [ -n "${one}" ] && COMPREPLY+=("${one#"${typed}"}")
    done < <(env _TYPER_COMPLETE_ARGS="${line}" %(autocomplete_var)s=complete_bash "$1" 2>/dev/null)
    return 0
}

complete -o default -F %(complete_func)s %(prog_name)s
"""


def _words() -> tuple[list[str], str]:
    """The words in front of the one that is typed, and that one as far as it goes."""
    line = os.environ[_LINE]
    reader = shlex.shlex(line, posix=True)
    reader.whitespace_split, reader.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(iter(reader))
    except ValueError:  # a quote that is still open
        words.append(reader.token)
    incomplete = words.pop() if len(words) > 1 and not line[-1:].isspace() else ""
    return words[1:], incomplete


class _Bash(BashComplete):
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        return _words() if _LINE in os.environ else super().get_completion_args()


class _Zsh(ZshComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        return _words()

    def format_completion(self, item: CompletionItem) -> str:
        value = item.value.replace(":", r"\\:")
        return f'"{value}":"{_plain(item.help)}"' if item.help else f'"{value}"'


class _Fish(FishComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        return _words()

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.value}\t{_plain(item.help)}" if item.help else str(item.value)


def _plain(text: Any) -> str:
    """Words that no shell reads as anything else: zsh evaluates them."""
    return re.sub(r"[^\w.,;+@/=%-]+", " ", str(text)).strip()


def prepare() -> None:
    """Let these answer, and their scripts be shown and installed."""
    for kind in (_Bash, _Zsh, _Fish):
        add_completion_class(kind, kind.name)
    shared._completion_scripts["bash"] = _BASH
    shared.Shells.__str__ = str.__str__  # type: ignore[method-assign]  # Typer says "Shells.bash completion installed" from Python 3.11 on


def keep_quiet() -> None:
    """While a shell completes, nothing but the answer is written: what libraries say of devices would stand amid the line."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    os.close(quiet)
