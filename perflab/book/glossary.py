"""The glossary's terms, read from its text: each a heading, and «Also» before its other forms."""

import re
from pathlib import Path

ENTRY = re.compile(r"(?m)^# ### (.+)$")
ALSO = re.compile(r"\*Also (.+?)\.\*", re.DOTALL)


def terms(text: Path) -> dict[str, tuple[str, ...]]:
    """Each term with its other forms, in the glossary's order; none where there is no glossary."""
    if not text.exists():
        return {}
    parts = ENTRY.split(text.read_text("utf-8"))[1:]
    return {term: _forms(entry) for term, entry in zip(parts[::2], parts[1::2], strict=True)}


def _forms(entry: str) -> tuple[str, ...]:
    also = ALSO.search(re.sub(r"(?m)^# ?", "", entry))
    return tuple(" ".join(form.split()) for form in also[1].split(",")) if also else ()
