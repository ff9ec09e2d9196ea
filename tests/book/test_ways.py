"""Links between the pages: made by the publisher, never typed, never dead."""

import json
import re

import pytest

from perflab.book import contents, publish, ways
from perflab.book.glossary import terms
from perflab.book.readers import NOTEBOOKS, ROOT, cleared, fingerprint

NOTEBOOKS_HERE = sorted(NOTEBOOKS.glob("*.ipynb"))
CHAPTERS = [path for path in NOTEBOOKS_HERE if path.name not in (ways.CONTENTS, ways.GLOSSARY)]
TERMS = terms(publish.TEXT / "glossary.py")
LINKS = re.compile(r"\]\(([\w-]+\.ipynb)(?:#([^\s)]+))?\)")


def prose(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


@pytest.mark.parametrize("path", NOTEBOOKS_HERE, ids=lambda path: path.stem)
def test_every_link_leads_somewhere(path):
    """The file is there, and what is behind # is the id of one of its cells."""
    found = [link for source in prose(path) for link in LINKS.findall(source)]
    assert found
    for name, anchor in found:
        assert (NOTEBOOKS / name).exists(), name
        if anchor:
            cells = json.loads((NOTEBOOKS / name).read_text("utf-8"))["cells"]
            assert anchor in {f"cell-id={cell['id']}" for cell in cells}, anchor


def test_a_term_has_a_cell_of_its_own():
    """So that a link leads to it, and not to others before it."""
    cells = json.loads((NOTEBOOKS / ways.GLOSSARY).read_text("utf-8"))["cells"][1:]
    heads = [re.findall(r"(?m)^### (.+)$", "".join(cell["source"])) for cell in cells]
    assert heads == [[term] for term in TERMS]
    assert [cell["id"] for cell in cells] == [ways.entry(term) for term in TERMS]
    assert len({cell["id"] for cell in cells}) == len(cells)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_leads_to_its_neighbours_at_head_and_foot(path):
    """The same line twice: the chapter before, the contents, the glossary, the chapter after."""
    at = CHAPTERS.index(path)
    before, after = CHAPTERS[max(at - 1, 0) : at], CHAPTERS[at + 1 : at + 2]
    due = [*before, NOTEBOOKS / ways.CONTENTS, NOTEBOOKS / ways.GLOSSARY, *after]
    lines = [prose(path)[0].splitlines()[0], prose(path)[-1].splitlines()[-1]]
    for line in lines:
        assert [name for name, _ in LINKS.findall(line)] == [one.name for one in due]


def test_no_link_between_pages_is_typed_in_a_chapter():
    """The text stays the source of the words alone."""
    for text in publish.texts():
        assert ".ipynb" not in re.sub(r"(?m)^[^#].*$", "", text.read_text("utf-8")), text.name


@pytest.mark.parametrize("text", publish.texts(), ids=lambda path: path.stem)
def test_the_publisher_adds_links_and_nothing_else(text):
    """Without them a chapter reads as it was typed, and each term is linked once."""
    typed, made = publish._as_written(text), publish.notebook_of(text)
    assert [cell.source for cell in typed.cells] == [ways.plain(cell.source) for cell in made.cells]
    targets = re.findall(r"\(glossary\.ipynb#([^\s)]+)\)", "\n".join(c.source for c in made.cells))
    assert len(targets) == len(set(targets)) <= 25


def test_every_term_is_used_in_some_chapter():
    """A word that no chapter needs is not explained; none has two entries."""
    linked = " ".join(source for path in CHAPTERS for source in prose(path))
    assert [term for term in TERMS if ways.anchor(term) + ")" not in linked] == []
    forms = [form for term, also in TERMS.items() for form in (term, *also)]
    assert len(forms) == len(set(forms))


@pytest.mark.parametrize(
    ("source", "linked"),
    [
        ("A hit ratio of 9.", "A [hit ratio](glossary.ipynb#cell-id=hit-ratio) of 9."),
        ("Hit\nratios rise.", "[Hit\nratios](glossary.ipynb#cell-id=hit-ratio) rise."),
        ("**hit** and hit", "**[hit](glossary.ipynb#cell-id=hit)** and hit"),
        ("`hit` [hit](x) # hit", "`hit` [hit](x) # [hit](glossary.ipynb#cell-id=hit)"),
        ("# hit\n> hit\n| hit |\n```\nhit\n```", "# hit\n> hit\n| hit |\n```\nhit\n```"),
        ("pre-hit, hits-and, white", "pre-hit, hits-and, white"),
        ("a TTL, not ttl", "a [TTL](glossary.ipynb#cell-id=TTL), not ttl"),
        ("time to live", "[time to live](glossary.ipynb#cell-id=TTL)"),
    ],
)
def test_the_first_use_in_running_prose_is_linked(source, linked):
    """Plural, capital and line break do not hide it; code, headings and quotes are left alone."""
    known = {"hit": (), "hit ratio": (), "TTL": ("time to live",)}
    made = ways.explained(["head", source, source], known)
    assert made == ["head", linked, source]
    assert ways.plain(made[1]) == ways.plain(source)


def test_the_aims_at_the_head_stay_unlinked():
    """A reader meets a term's link where it is used, not where it is promised."""
    made = ways.explained(
        ["# 1\n\nA hit.\n\n- say hit;\n- and miss.", "miss"], {"hit": (), "miss": ()}
    )
    assert made[0].count("glossary") == 1
    assert made[1] == "[miss](glossary.ipynb#cell-id=miss)"


def test_links_are_no_edit():
    """A copy made before there were links counts as untouched; another word in it does not."""
    nav = ways.navigation(("01-a.ipynb", "1 A"), None)
    bare, linked, other = (
        {"cells": [{"cell_type": "markdown", "metadata": {}, "source": source}], "metadata": {}}
        for source in (
            "# 2\n\nA hit.",
            f"{nav}\n\n# 2\n\nA [hit](glossary.ipynb#cell-id=hit).",
            "# 2\n\nA hat.",
        )
    )
    assert fingerprint(bare) == fingerprint(linked) != fingerprint(other)


def test_a_folder_without_a_page_has_its_name_and_no_link():
    """What is there is linked, what is not is text."""
    nav = ways.navigation(("01-a.ipynb", "1 A"), ("03-c.ipynb", "3 C"))
    cell = {"cell_type": "markdown", "metadata": {}, "source": nav}
    found = ways.within(cleared({"cells": [cell], "metadata": {}}), {"03-c.ipynb", ways.CONTENTS})
    assert found["cells"][0]["source"] == (
        "← 1 A · [Contents](00-contents.ipynb) · Glossary · [3 C →](03-c.ipynb)"
    )


def test_the_contents_say_what_the_chapters_and_the_readme_say():
    """Ten chapters; titles are the chapters' own, what breaks is README's."""
    readme = (ROOT / "README.md").read_text("utf-8")
    known = contents.about()
    assert [one.number for one in known] == list(range(1, 11))
    for one in known:
        if one.file:
            assert re.search(rf"(?m)^# {re.escape(one.name)}$", prose(NOTEBOOKS / one.file)[0])
            assert 30 <= one.minutes <= 70
            assert one.mystery.endswith("?")
            assert len(one.asked) >= 3
        row = re.search(rf"(?m)^\| \[{one.number}\]\([^)]*\) \|.*\| (.*) \|$", readme)
        assert row is None or row[1] == one.breaks
