"""The committed notebooks: made from their texts, honest about what CI compares, complete."""

import json
import re

import pytest

from perflab.book.claims import claims
from perflab.book.publish import METADATA, TEXT, notebook_of, texts
from perflab.book.readers import NOTEBOOKS, ROOT

CHAPTERS = {int(path.name[:2]): NOTEBOOKS / f"{path.stem}.ipynb" for path in texts()}
FIGURES = sorted((ROOT / "perflab" / "book" / "figures").glob("[a-z]*.py"))
CHECKED = "nbval-check-output"
VERDICT = re.compile(r'ch\.verdict\(\s*"(\d+\.\d+)"')
HERE = r"/(home|root|tmp|Users)/|0x[0-9a-f]{6}|127\.0\.0\.1:\d"  # places that differ elsewhere


def committed(chapter):
    with open(CHAPTERS[chapter], encoding="utf-8") as file:
        return json.load(file)


def code_cells(chapter):
    return [cell for cell in committed(chapter)["cells"] if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def calls(cell, method, claim):
    """Whether a cell calls this method of the chapter for this claim."""
    return re.search(rf'ch\.{method}\(\s*"{re.escape(claim)}"', source(cell)) is not None


def pictures(cell):
    """The metadata of each picture of a cell."""
    return [out["metadata"] for out in cell["outputs"] if "image/png" in out.get("data", {})]


def drawn_claims(cell):
    """The claims that a cell's pictures belong to."""
    return {one["perflab"]["claim"] for one in pictures(cell)}


def figures(chapter):
    """The metadata of each picture of a chapter."""
    return [one for cell in code_cells(chapter) for one in pictures(cell)]


def verdicts(chapter):
    """Pairs of claim and cell: each cell that judges a claim."""
    return [
        (claim, cell) for cell in code_cells(chapter) for claim in VERDICT.findall(source(cell))
    ]


def test_every_text_has_its_notebook_and_every_notebook_its_text():
    """Nothing is left over on either side."""
    made = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    assert made == {path.stem for path in TEXT.glob("*.py")}
    assert made


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_notebook_is_what_its_text_makes(chapter):
    """Cells, tags, ids and metadata are the text's: run `make notebooks` where this fails."""
    made, stored = notebook_of(texts([chapter])[0]), committed(chapter)
    as_made = [(c.cell_type, c.id, c.source, c.metadata.get("tags", [])) for c in made.cells]
    as_stored = [(c["cell_type"], c["id"], source(c), tags(c)) for c in stored["cells"]]
    assert as_stored == as_made
    assert stored["metadata"] == METADATA


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_code_cell_was_run_in_order_and_none_failed(chapter):
    """Stored outputs come from one run from top to bottom."""
    cells = code_cells(chapter)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert "error" not in kinds


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_is_checked_has_something_to_compare(chapter):
    """A checked cell without output, or with a marker that nbval ignores, would compare nothing."""
    for cell in code_cells(chapter):
        assert set(tags(cell)) <= {CHECKED}, "only this tag is used"
        assert "NBVAL" not in source(cell)
        if CHECKED in tags(cell):
            assert cell["outputs"], source(cell)
            assert all("image/png" not in o.get("data", {}) for o in cell["outputs"])


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_claim_has_exactly_one_verdict_and_demos_none(chapter):
    """Each core and more claim of a finished chapter is judged once; demos show, judge nothing."""
    judged = sorted(claim for claim, _ in verdicts(chapter))
    due = sorted(c.id for c in claims().values() if c.chapter == chapter and c.kind != "demo")
    assert judged == due


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_claim_stands_in_the_prose_before_its_verdict(chapter):
    """A reader knows what is judged: the claim's own words, above the cells that try it."""
    cells = [source(cell) for cell in committed(chapter)["cells"]]
    for claim in claims().values():
        if claim.chapter == chapter and claim.kind != "demo":
            words = f"**Claim {claim.id}** {claim.text}"
            stands = [at for at, text in enumerate(cells) if words in text.replace("\n> ", " ")]
            judged = [at for at, text in enumerate(cells) if f'"{claim.id}"' in text]
            assert len(stands) == 1, claim.id
            assert stands[0] < min(judged), claim.id


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_verdict_with_tier_a_evidence_is_checked(chapter):
    """CI compares its stored word and facts; one without such evidence is left alone."""
    for claim, cell in verdicts(chapter):
        assert (CHECKED in tags(cell)) == ("A" in claims()[claim].evidence), claim
        if CHECKED in tags(cell):
            assert "inconclusive" not in json.dumps(cell["outputs"])


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_wall_clock_evidence_stands_beside_the_verdict(chapter):
    """A claim with Tier B evidence says what was measured here, in a cell that is not compared."""
    for claim in claims().values():
        if claim.chapter == chapter and "B" in claim.evidence:
            said = [cell for cell in code_cells(chapter) if calls(cell, "measured", claim.id)]
            assert len(said) == 1, claim.id
            assert CHECKED not in tags(said[0])


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_core_experiment_plots_latency_and_memory(chapter):
    """A figure of each core claim has a panel of either."""
    shown = {one["perflab"]["claim"]: one["perflab"]["panels"] for one in figures(chapter)}
    for claim in claims().values():
        if claim.chapter == chapter and claim.kind == "core":
            panels = " ".join(shown.get(claim.id, []))
            assert re.search(r"latency|response time|\(ms\)|requests", panels), claim.id
            assert re.search(r"memory|bytes|items held", panels), claim.id


@pytest.mark.parametrize("code", FIGURES, ids=lambda path: path.stem)
def test_the_code_of_a_core_claims_figure_plots_memory(code):
    """The stored pictures show it only after `make notebooks`; the code shows it at once."""
    for body in re.split(r"^(?=def )", code.read_text(encoding="utf-8"), flags=re.MULTILINE):
        for claim in re.findall(r'ch\.figure\(\s*"([\d.]+)"', body):
            if claims()[claim].kind == "core":
                drawn = body.split("ch.figure(")[1]
                assert re.search(r'panels\.memory\(|Panel\(\s*"memory', drawn), claim


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_core_claim_asks_for_a_prediction(chapter):
    """The reader commits before the run: the question stands above the figure."""
    cells = code_cells(chapter)
    for claim in claims().values():
        if claim.chapter == chapter and claim.kind == "core":
            asked = [i for i, cell in enumerate(cells) if calls(cell, "predict", claim.id)]
            drawn = [i for i, cell in enumerate(cells) if claim.id in drawn_claims(cell)]
            assert asked, claim.id
            assert drawn, claim.id
            assert asked[0] < drawn[0], claim.id


def test_every_kind_of_prediction_is_asked_somewhere():
    """A range, a place, an order, a choice, yes or no: none is there for show."""
    asked = "\n".join(source(cell) for chapter in CHAPTERS for cell in code_cells(chapter))
    kinds = set(re.findall(r'ch\.predict\(\s*"[\d.]+",\s*(\w+)\(', asked))
    assert kinds == {"Interval", "Place", "Ranking", "Choice", "YesNo"}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_figure_can_be_read_out(chapter):
    """Each picture carries its text: title, axes, where the lines begin and end."""
    for metadata in figures(chapter):
        assert len(metadata["image/png"]["alt"]) > 60


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_skeleton_is_complete(chapter):
    """Time at the head, mystery, goals, four exercises, scoreboard, and what to remember."""
    everything = "\n".join(source(cell) for cell in committed(chapter)["cells"])
    for part in (
        f"**Chapter {chapter} of 10** · ",
        "**You will be able to**",
        "## The mystery",
        "ch.mystery(",
        "ch.solved(",
        "**Try it.**",
        "## Exercises",
        *(f"ch.check({number}, " for number in range(1, 5)),
        "ch.scoreboard()",
        "## What to remember",
    ):
        assert part in everything, part


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_cell_names_a_place_on_this_machine(chapter):
    """Outputs hold no absolute paths, addresses or ports that would differ elsewhere."""
    for cell in code_cells(chapter):
        if CHECKED in tags(cell):
            assert not re.search(HERE, json.dumps(cell))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_stays_small(chapter):
    """Figures included it is under 600 kB: a page that opens at once."""
    assert CHAPTERS[chapter].stat().st_size < 600_000
