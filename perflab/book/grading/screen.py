"""What an answer may not name: perflab itself, and what reaches into the process that judges it.

This reads the code before anything runs, so it cannot be tricked by what runs; and it sees only
what is written plainly. Names that are put together at run time meet the guard in `limits`.
"""

import ast
from collections.abc import Iterable

MODULES = frozenset({"perflab", "ctypes", "importlib", "builtins", "__main__"})
NAMES = frozenset({"__import__", "__builtins__", "exec", "eval", "compile"})
ATTRIBUTES = frozenset({
    "_getframe", "_current_frames", "_exit", "currentframe", "f_back", "f_globals", "f_locals",
    "f_builtins", "tb_frame", "gi_frame", "cr_frame", "ag_frame", "__globals__", "__builtins__",
    "__subclasses__", "__code__", "get_objects", "get_referrers", "get_referents", "addaudithook",
})  # fmt: skip


def forbidden(code: Iterable[ast.stmt]) -> str:
    """The first thing in the code that no answer needs, in words; empty where there is none."""
    for statement in code:
        for node in ast.walk(statement):
            if found := _in(node):
                return found
    return ""


def _in(node: ast.AST) -> str:
    if isinstance(node, ast.Import):
        modules = [one.name for one in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = [node.module or "", *(f"{node.module}.{one.name}" for one in node.names)]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        modules = [node.value] if node.value.startswith("perflab.") else []
    else:
        modules = []
    for module in modules:
        if module.split(".")[0] in MODULES:
            return module
    if isinstance(node, ast.Name) and node.id in NAMES:
        return node.id
    if isinstance(node, ast.Attribute):
        of_sys = isinstance(node.value, ast.Name) and node.value.id in ("sys", "_sys")
        if node.attr in ATTRIBUTES or (of_sys and node.attr == "modules"):
            return f".{node.attr}"
    return ""
