"""Taking answers out of a notebook: the code that an answer needs, and no other.

Runs in a process of its own: a parser can be brought down by what it is given.
"""

import ast
import builtins
import dis
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, cast

from perflab.book.exercises.borrowing import within
from perflab.book.grading.screen import forbidden

MAGIC = re.compile(r"^(\s*)(?:[%!?].*|[\w.]+\?+\s*)$", re.M)
ASSIGNED_MAGIC = re.compile(r"^(\s*[\w, ]+=\s*)[%!].*$", re.M)
TIMED = re.compile(r"\A\s*%%(time|timeit|capture)\b.*\n")
MOST_CODE = 500_000  # characters
KNOWN = frozenset(dir(builtins)) | {"__name__"}
LOOKS_UP = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF", "LOAD_FROM_DICT")  # of instructions
BINDS = ("STORE_NAME", "STORE_GLOBAL")
DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
PLAIN = DEFINES | ast.ImportFrom | ast.Assign | ast.AnnAssign  # `import a.b` leaves what a was
ANSWER = "answer_"  # what the code taken out calls the answer


@dataclass(frozen=True)
class Statement:
    """One statement of the notebook's cells: the names that it makes or changes; those that it
    makes anew, whatever they were before; those that it needs when it is run, and later, when what
    it defines is called."""

    node: ast.stmt
    cell: int
    makes: frozenset[str]
    anew: frozenset[str]
    needs: frozenset[str]
    later: frozenset[str]


@dataclass(frozen=True)
class Taken:
    """An exercise of a notebook: the answer's code, or the mark that it gets without one."""

    code: str = ""
    mark: str = ""
    hint: str = ""


def cells(text: str) -> list[str]:
    """The code of a notebook's code cells. ValueError for what is no notebook."""
    try:
        notebook = json.loads(text)
        sources = [one["source"] for one in notebook["cells"] if one["cell_type"] == "code"]
        return ["".join(one) for one in sources]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("This is no notebook: it is not what Jupyter writes.") from error


def chapter_of(code: list[str]) -> int | None:
    """The chapter that the notebook is, by its `Chapter(n)`; None where it has none."""
    for cell in code:
        for node in ast.walk(_parsed(cell) or ast.Module([], [])):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                number = _constant(node.args[0]) if node.args else None
                if node.func.id == "Chapter" and isinstance(number, int):
                    return number
    return None


def asked(code: list[str]) -> dict[int, str]:
    """What each exercise of a chapter asks for: the name that is given to `ch.check`."""
    found = {}
    for cell in code:
        for number, given in _checks(_parsed(cell)):
            found[number] = ast.unparse(given)
    return found


def take(code: list[str], number: int, name: str) -> Taken:
    """The answer to an exercise and all that it needs of the notebook.

    The answer is what the last `ch.check(number, …)` is given, as it was defined by then; without
    such a line it is what has the name that the chapter asks for.
    """
    if sum(map(len, code)) > MOST_CODE:
        return Taken(mark="unreadable", hint="More code than a chapter can need.")
    parsed = [_parsed(cell) for cell in code]
    given, last = ast.parse(name, mode="eval").body, len(code)
    for at, tree in enumerate(parsed):
        for found, what in _checks(tree):
            if found == number:
                given, last = what, at
    statements = [one for at, tree in enumerate(parsed) if tree for one in _statements(tree, at)]
    result = ast.Assign([ast.Name(ANSWER, ast.Store())], given)
    wanted = _needs(ast.fix_missing_locations(result))
    before = [one for one in statements if one.cell <= last]
    if _lacking(before, wanted):
        before = statements  # the check stands above what it checks
    if lacking := _lacking(before, wanted):
        return _without(min(lacking), code, parsed)
    needed = [*_needed(before, wanted), result]
    if named := forbidden(needed):
        return Taken(mark="refused", hint=f"No answer needs {named}; look at it yourself.")
    return Taken("\n".join(map(ast.unparse, needed)))


def _lacking(statements: list[Statement], wanted: frozenset[str]) -> frozenset[str]:
    return wanted - KNOWN - frozenset().union(*(one.makes for one in statements))


def _without(name: str, code: list[str], parsed: list[ast.Module | None]) -> Taken:
    """There is no such answer: it was deleted, or its cell is no Python."""
    for cell, tree in zip(code, parsed, strict=True):
        if tree is None and re.search(rf"\b(def|class)\s+{re.escape(name)}\b", cell):
            return Taken(mark="wrong", hint=f"The cell of {name} is no Python: {_fault(cell)}.")
    return Taken(mark="missing", hint=f"Nothing is called {name} in this notebook.")


def _parsed(cell: str) -> ast.Module | None:
    """The cell without what only IPython understands; None where it is no Python, or a magic's."""
    plain = MAGIC.sub(r"\1pass", ASSIGNED_MAGIC.sub(r"\1None", TIMED.sub("", cell)))
    try:
        return None if cell.lstrip().startswith("%%") and plain == cell else ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _fault(cell: str) -> str:
    try:
        ast.parse(cell)
    except SyntaxError as error:
        return f"{error.msg}, line {error.lineno}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error)
    return "a magic's line stands within it"


def _constant(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def _checks(tree: ast.Module | None) -> Iterator[tuple[int, ast.expr]]:
    """Each `….check(number, answer)`: the number, and the expression that is the answer."""
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            named = {one.arg: one.value for one in node.keywords}
            given = dict(zip(("number", "answer"), node.args, strict=False)) | named
            number = _constant(given["number"]) if "number" in given else None
            if node.func.attr == "check" and isinstance(number, int) and "answer" in given:
                yield number, given["answer"]


def _statements(tree: ast.Module, cell: int) -> Iterator[Statement]:
    for node, code in ((node, _compiled(node)) for node in tree.body):
        if code is None:
            continue
        binds = frozenset(_arguments(code, BINDS))
        needs = frozenset(_needed_at_once(code, node))
        anew = binds - needs if isinstance(node, PLAIN) else frozenset[str]()
        later = frozenset(_looked_up(code)) - frozenset(_arguments(code, LOOKS_UP))
        yield Statement(node, cell, binds | frozenset(_changes(node)), anew, needs, later)


def _changes(node: ast.stmt) -> Iterator[str]:
    """Names whose object a statement changes by assigning to a part of it."""
    for one in () if isinstance(node, DEFINES) else ast.walk(node):
        if isinstance(one, ast.Attribute | ast.Subscript) and isinstance(one.ctx, ast.Store):
            inner: ast.expr = one
            while isinstance(inner, ast.Attribute | ast.Subscript):
                inner = inner.value
            if isinstance(inner, ast.Name):
                yield inner.id


def _needs(node: ast.stmt) -> frozenset[str]:
    """Names that a statement looks up in the notebook, as the compiler sees them."""
    code = _compiled(node)
    return frozenset(_looked_up(code)) if code else frozenset()


def _compiled(node: ast.stmt) -> CodeType | None:
    try:
        module = ast.fix_missing_locations(ast.Module([node], []))
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return cast(CodeType, compile(module, "<answer>", "exec", flags=flags, dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _needed_at_once(code: CodeType, node: ast.stmt) -> Iterator[str]:
    """What a function's body or a class's methods need is not needed before they are called."""
    if not isinstance(node, DEFINES):
        yield from _looked_up(code)
        return
    yield from _arguments(code, LOOKS_UP)
    for inner in within(code) if isinstance(node, ast.ClassDef) else ():
        yield from _arguments(inner, LOOKS_UP)


def _arguments(code: CodeType, named: tuple[str, ...]) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname.startswith(named):
            yield str(step.argval)


def _looked_up(code: CodeType) -> Iterator[str]:
    yield from _arguments(code, LOOKS_UP)
    for inner in within(code):
        yield from _looked_up(inner)


def _needed(statements: list[Statement], wanted: frozenset[str]) -> list[ast.stmt]:
    """The statements that make what is wanted, and what those need, in their order.

    A name is looked for from where it is needed upwards, up to where it is made anew: a helper may
    have the name of something in the chapter.
    """
    chosen: set[int] = set()
    names, done = set[str](), set[tuple[str, int]]()
    to_find = {(name, len(statements)) for name in wanted}
    while to_find:
        name, end = one = to_find.pop()
        done.add(one)
        names.add(name)
        for at in reversed(range(end)):
            if name not in statements[at].makes:
                continue
            chosen.add(at)
            to_find |= {(need, at) for need in statements[at].needs} - done
            to_find |= {(need, end) for need in statements[at].later} - done
            if name in statements[at].anew:
                break
    return [_only(statements[at].node, names) for at in sorted(chosen)]


def _only(node: ast.stmt, names: set[str]) -> ast.stmt:
    """An import of what is needed alone; any other statement as it is."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        node.names = [
            one
            for one in node.names
            if one.name == "*" or (one.asname or one.name).split(".")[0] in names
        ]
    return node
