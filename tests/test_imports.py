"""Imports run one way: book → experiments → systems, contracts → … → errors."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "perflab"
ALLOWED = {
    "errors": set(),
    "measure": {"errors"},
    "patterns": {"errors"},
    "guide": {"errors"},
    "contracts": {"measure", "errors"},  # the class under test is an argument
    "systems": {"guide", "patterns", "measure", "errors"},
    "experiments": {"systems", "contracts", "guide", "patterns", "measure", "errors"},
    "book": {"experiments", "systems", "contracts", "guide", "patterns", "measure", "errors"},
}
ON_TOP = {"__main__", "doctor"}  # may import everything, and nothing imports them
CONFINED = {"patterns", "contracts"}  # the standard library beside what is allowed above


def imported(source: str) -> Iterator[str]:
    """Full names of all modules that the source imports, wherever in it that happens."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "perflab":
            yield from (f"perflab.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def objections(layer: str, source: str) -> list[str]:
    """What is wrong with the imports of a module of that layer."""
    wrong = []
    for name in imported(source):
        first, _, rest = name.partition(".")
        to = rest.partition(".")[0]
        if first == "":
            wrong.append(f"{name} is relative")
        elif first == "perflab" and layer not in ON_TOP and to not in ALLOWED[layer] | {layer}:
            wrong.append(f"{layer} → {to}")
        elif first != "perflab" and layer in CONFINED and first not in sys.stdlib_module_names:
            wrong.append(f"{layer} → {first}, which is not in the standard library")
    return wrong


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_downwards(path: Path):
    """No module of the package imports from a layer that is not below its own."""
    assert objections(layer_of(path), path.read_text("utf-8")) == []


def test_every_module_has_a_layer():
    """A new folder takes its place among the layers, or this fails."""
    assert {layer_of(path) for path in modules()} <= set(ALLOWED) | ON_TOP


def test_the_layers_have_no_cycle():
    """From no layer do the arrows lead back to it."""
    for layer in ALLOWED:
        reached, to_visit = set(), set(ALLOWED[layer])
        while to_visit:
            to_visit |= ALLOWED[to := to_visit.pop()] - reached
            reached.add(to)
        assert layer not in reached


@pytest.mark.parametrize(
    ("layer", "source", "objection"),
    [
        ("measure", "from perflab.book.records import Record", "measure → book"),
        ("measure", "def f():\n    import perflab.systems.shop", "measure → systems"),
        ("contracts", "from perflab import patterns", "contracts → patterns"),
        ("systems", "from perflab.contracts.core import Evidence", "systems → contracts"),
        ("book", "from .readers import ROOT", ".readers is relative"),
        ("book", "from perflab.__main__ import main", "book → __main__"),
        ("patterns", "import numpy", "patterns → numpy, which is not in the standard library"),
    ],
)
def test_an_arrow_upwards_is_noticed(layer: str, source: str, objection: str):
    """Each kind of forbidden import is found, also inside a function."""
    assert objections(layer, source) == [objection]
