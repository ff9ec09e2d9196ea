"""Ways from page to page: previous, contents and next; a term's first use and the glossary.

None of it is typed in a chapter's text. The publisher adds it, a copy in a folder that lacks some
of the pages loses the links to those, and a reader's edits are recognised without it.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

CONTENTS, GLOSSARY = "00-contents.ipynb", "glossary.ipynb"
NAVIGATION = re.compile(rf"(?m)^.*\[Contents\]\({CONTENTS}\).*$\n*")  # the line, and its distance
LINK = re.compile(r"\[([^\[\]]+)\]\(((?:\d\d-[\w-]+|glossary)\.ipynb)(?:#[^\s()]*)?\)")
# What is no running prose: fences, headings, quoted claims, tables, code, links, formulas, tags.
NO_PROSE = re.compile(
    r"```.*?```|^[#>|].*?$|`[^`]*`|!?\[[^\]]*\]\([^)]*\)|\$[^$]*\$|<[a-zA-Z/!][^>\n]*>|https?://\S+",
    re.MULTILINE | re.DOTALL,
)


def navigation(previous: tuple[str, str] | None, following: tuple[str, str] | None) -> str:
    """A line of links: file and title of the chapter before and of the one after, if any."""
    parts = [f"[Contents]({CONTENTS})", f"[Glossary]({GLOSSARY})"]
    if previous:
        parts.insert(0, f"[← {previous[1]}]({previous[0]})")
    if following:
        parts.append(f"[{following[1]} →]({following[0]})")
    return " · ".join(parts)


def anchor(term: str) -> str:
    """Where in the glossary a term stands: in the cell of that id, which Lab finds at once, while
    it finds headings only on a page that has been drawn. nbconvert names cells in the same way."""
    return f"{GLOSSARY}#cell-id={entry(term)}"


def entry(term: str) -> str:
    """The id of the glossary's cell about this term."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", term)


def explained(sources: Sequence[str], terms: Mapping[str, Sequence[str]]) -> list[str]:
    """The cells of prose with the first use of each term linked to the glossary.

    `terms` gives each term's forms. Longer forms are looked for first, so that «hit ratio» is not
    taken for a «hit». What is no running prose, and the list of aims at the head, stay as they are.
    """
    forms = {form: term for term, known in terms.items() for form in (term, *known)}
    order = sorted(forms, key=len, reverse=True)
    if not order:
        return list(sources)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(_pattern, order))})(?![\w-])")
    by_form = {_folded(form): term for form, term in forms.items()}
    seen: set[str] = set()

    def linked(found: re.Match[str]) -> str:
        term = by_form.get(_folded(found[1])) or by_form[_folded(_singular(found[1], by_form))]
        if term in seen:
            return found[0]
        seen.add(term)
        return f"[{found[1]}]({anchor(term)})"

    return [_in_prose(source, linked, pattern, head=at == 0) for at, source in enumerate(sources)]


def _pattern(form: str) -> str:
    """A form in running text: broken anywhere, with a capital at a sentence's start, or plural."""
    words = [re.escape(word) for word in form.split()]
    if form[0].islower():
        words[0] = f"[{form[0]}{form[0].upper()}]{words[0][1:]}"
    return r"\s+".join(words) + "(?:e?s)?"


def _folded(form: str) -> str:
    text = " ".join(form.split())
    return text[0].lower() + text[1:] if not text[1:2].isupper() else text


def _singular(form: str, known: Collection[str]) -> str:
    return next(form[:-n] for n in (1, 2) if _folded(form[:-n]) in known)


def _in_prose(
    source: str, linked: Callable[[re.Match[str]], str], pattern: re.Pattern[str], head: bool
) -> str:
    aims = re.compile(rf"{NO_PROSE.pattern}|^- .*?(?:\n(?=\n)|\Z)", NO_PROSE.flags)
    pieces, at = [], 0
    for skipped in (aims if head else NO_PROSE).finditer(source):
        pieces += [pattern.sub(linked, source[at : skipped.start()]), skipped[0]]
        at = skipped.end()
    return "".join([*pieces, pattern.sub(linked, source[at:])])


def within(notebook: dict[str, Any], present: Collection[str]) -> dict[str, Any]:
    """The notebook in a folder with these files: a link to another page becomes its text."""
    cells = [dict(cell) for cell in notebook["cells"]]
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = _without("".join(cell["source"]), present)
    return {**notebook, "cells": cells}


def _without(source: str, present: Collection[str]) -> str:
    return LINK.sub(lambda link: link[0] if link[2] in present else link[1], source)


def plain(source: str) -> str:
    """A cell's text as it was typed: without navigation, and each link as its text."""
    return _without(NAVIGATION.sub("", source), ()).strip("\n")
