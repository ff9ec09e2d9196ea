"""How much code a repair takes: lines of the guide's patterns and of ours."""

import ast
import io
import tokenize
from pathlib import Path

import pandas as pd

from perflab.book.readers import ROOT

PACKAGE = "perflab.patterns"
TRIPLES = {  # claim: the guide's file, ours
    "3.9": ("connectionpool", "connectionpool"),
    "3.10": ("sharding", "sharding"),
    "4.5": ("cache", "tiered"),
    "5.1": ("objectpool", "objectpool"),
    "5.3": ("interner", "interner"),
    "6.3": ("workerpool", "workerpool"),
    "6.6": ("pipeline", "pipeline"),
    "9.2": ("breaker", "breaker"),
    "9.5": ("bulkhead", "bulkhead"),
}
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
            tokenize.ENCODING, tokenize.ENDMARKER}  # fmt: skip


def beside() -> pd.DataFrame:
    """A row for each pattern of the guide: the claim that judges it, and lines of code without
    comments and docstrings; ours with all the parts that it is made of."""
    rows = {}
    for claim, (guides, ours) in TRIPLES.items():
        theirs = code_lines(ROOT / "perflab" / "guide" / f"{guides}.py")
        parts = with_parts(ROOT / "perflab" / "patterns" / f"{ours}.py")
        rows[ours] = {
            "claim": claim,
            "the guide's, ported": theirs,
            "ours": sum(map(code_lines, parts)),
        }
    return pd.DataFrame(rows).T.rename_axis("lines of code")


def code_lines(path: Path) -> int:
    """Lines with code on them: no comment, no docstring, nothing empty."""
    text = path.read_text(encoding="utf-8")
    used = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in NOT_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(used - _docstrings(ast.parse(text)))


def _docstrings(tree: ast.AST) -> set[int]:
    """The lines of expressions that are a text and nothing else."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def with_parts(path: Path, found: dict[Path, None] | None = None) -> list[Path]:
    """This file and those of the patterns that it imports, and so on."""
    found = {} if found is None else found
    found[path] = None
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE + "."):
            other = ROOT.joinpath(*str(node.module).split(".")).with_suffix(".py")
            if other not in found:
                with_parts(other, found)
    return list(found)
