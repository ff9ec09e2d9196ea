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
from typing import Any

from perflab.book.exercises.borrowing import within
from perflab.book.grading.screen import forbidden

MAGIC = re.compile(r"^(\s*)(?:[%!?].*|[\w.]+\?+\s*)$", re.M)
ASSIGNED_MAGIC = re.compile(r"^(\s*[\w, ]+=\s*)[%!].*$", re.M)
TIMED = re.compile(r"\A\s*%%(time|timeit|capture)\b.*\n")
MOST_CODE = 500_000  # characters
KNOWN = frozenset(dir(builtins)) | {"__name__"}
LOOKS_UP = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF", "LOAD_FROM_DICT")  # of instructions
ANSWER = "answer_"  # what the code taken out calls the answer


@dataclass(frozen=True)
class Statement:
    """One statement of the notebook's cells: the names that it makes, changes and needs."""

    node: ast.stmt
    cell: int
    makes: frozenset[str]
    needs: frozenset[str]


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
    for node in tree.body:
        yield Statement(node, cell, frozenset(_makes(node)), _needs(node))


def _makes(node: ast.stmt) -> Iterator[str]:
    """Names that a statement binds, or whose object it changes by assigning to a part of it."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            yield one.id
        elif isinstance(one, ast.alias):
            yield (one.asname or one.name).split(".")[0]
        elif isinstance(one, ast.Attribute | ast.Subscript) and isinstance(one.ctx, ast.Store):
            inner: ast.expr = one
            while isinstance(inner, ast.Attribute | ast.Subscript):
                inner = inner.value
            if isinstance(inner, ast.Name):
                yield inner.id
        elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one.name


def _needs(node: ast.stmt) -> frozenset[str]:
    """Names that a statement looks up in the notebook, as the compiler sees them."""
    try:
        module = ast.fix_missing_locations(ast.Module([node], []))
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(module, "<answer>", "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(_looked_up(code))


def _looked_up(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname.startswith(LOOKS_UP):
            yield str(step.argval)
    for inner in within(code):
        yield from _looked_up(inner)


def _needed(statements: list[Statement], wanted: frozenset[str]) -> list[ast.stmt]:
    """The statements that make what is wanted, and what those need, in their order."""
    chosen: set[int] = set()
    names, to_find = set[str](), set(wanted)
    while to_find:
        name = to_find.pop()
        names.add(name)
        for at, one in enumerate(statements):
            if name in one.makes and at not in chosen:
                chosen.add(at)
                to_find |= one.needs - names
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
