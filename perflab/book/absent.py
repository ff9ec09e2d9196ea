"""Cells that this machine cannot run: each says «not run here» and why, and the chapter goes on.

A server's program is missing, or what is tried is another operating system's. A cell that raised
such an error has made nothing: the names that it assigned are taken back, and a cell that asks for
one of them is not run either. So a claim is judged by what was run here, or it is not judged, and
the record and the scoreboard say so. A cell that starts a server should therefore do nothing else.

With PERFLAB_COMPLETE=1 a missing program is an error like any other, which ends the run: so CI runs
the notebooks, and so they are published.
"""

import ast
import os
import re
import symtable
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from perflab.book import show
from perflab.book.claims import claims
from perflab.errors import MissingProgramError, OtherSystemError

if TYPE_CHECKING:
    from perflab.book.chapter import Chapter

NOT_RUN = "not run here"
COMPLETE = "PERFLAB_COMPLETE"
SAID = re.compile(rf"^(\d+\.\d+ +)?{NOT_RUN}: ", re.MULTILINE)


class Absences:
    """What a kernel lacks.

    State: the `chapter` that remembers it, and why, for each name that a cell has not made. One
    thread, the cells', has it all.
    """

    def __init__(self, shell: Any, chapter: "Chapter") -> None:
        self.chapter = chapter
        self._why: dict[str, str] = {}
        self._shell = shell
        shell.set_custom_exc((MissingProgramError, OtherSystemError, NameError), self._traceback)
        shell.events.register("post_run_cell", self._after)

    def _traceback(
        self, shell: Any, kind: type[BaseException], error: BaseException,
        traceback: TracebackType, tb_offset: int | None = None,
    ) -> None:  # fmt: skip
        """Show the traceback of an error, and none of what `_after` puts into words."""
        if self._reason(error) is None:
            shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)

    def _reason(self, error: BaseException | None) -> str | None:
        """Why a cell that raised this was not run; None for an error, and for no error."""
        if isinstance(error, MissingProgramError):
            return None if os.environ.get(COMPLETE, "") not in ("", "0") else str(error)
        if isinstance(error, OtherSystemError):
            return str(error)
        return self._why.get(error.name or "") if type(error) is NameError else None

    def _after(self, result: Any) -> None:
        """A cell has ended. What was not run is no error, or Run All would stop at it."""
        why = self._reason(result.error_in_exec)
        if why is None:
            return
        result.error_in_exec = None
        cell = self._shell.transform_cell(result.info.raw_cell)  # magics are Python then
        for name, may_stay in _made(cell):
            self._why[name] = why
            if not may_stay and self._shell.user_ns.get(name) is not self.chapter:
                self._shell.user_ns.pop(name, None)
        self._say(why, list(_judged(cell)))

    def _say(self, why: str, judged: list[tuple[str, str]]) -> None:
        """Under the cell, and in the record of each claim that it was to judge or to measure."""
        for method, claim in judged:
            if method == "verdict":
                facts = {"why": why}
                self.chapter.record.add("verdicts", claim=claim, word=NOT_RUN, facts=facts)
                show.verdict(claim, claims()[claim].text, NOT_RUN, facts)
            else:
                self.chapter.record.add("effects", claim=claim, word=NOT_RUN, effect=NOT_RUN)
        if "verdict" not in dict(judged):
            show.line(f"{NOT_RUN}: {why}")


_absences: Absences | None = None  # one a kernel, whichever chapter it has


def watch(chapter: "Chapter") -> None:
    """From here on a cell of this kernel may lack something. Without a kernel nothing is done."""
    global _absences
    shell = get_ipython()
    if _absences is not None:
        _absences.chapter = chapter
    elif shell is not None:
        _absences = Absences(shell, chapter)


def says_so(text: str) -> bool:
    """Whether the text under a cell says that it was not run."""
    return SAID.search(text) is not None


def _made(cell: str) -> Iterator[tuple[str, bool]]:
    """The names that a cell makes, each with whether one that is there may stay when the cell was
    not run: what is imported and a function hold no result."""
    for one in symtable.symtable(cell, "<cell>", "exec").get_symbols():
        if one.is_assigned() or one.is_imported():
            yield one.get_name(), one.is_imported() or one.is_namespace()


def _judged(cell: str) -> Iterator[tuple[str, str]]:
    """Each `ch.verdict("1.2", …)` and `ch.measured("1.2", …)` of a cell: method and claim."""
    for node in ast.walk(ast.parse(cell)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            claim = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if node.func.attr in ("verdict", "measured") and claim in claims():
                yield node.func.attr, str(claim)
