"""The command `grade`: its arguments, its help and what it prints."""

import argparse
from pathlib import Path

from perflab.errors import require

SUMMARY = "Judge a class's answers by your own copy of the checks; a CSV and a page are written."
MORE = """\
This runs your students' code. DO IT IN A CONTAINER, as root there, without a network:
  docker run --rm --network none -v "$PWD:/class" IMAGE python -m perflab grade /class
Started by root, each answer runs as a user of its own. A student is called by the folder that holds
the notebook, or by the file's name where it lies in FOLDER itself. Of several notebooks of one
chapter the best answer counts.

What is guarded. Only the code of an answer is taken from a notebook; its outputs count for nothing.
It runs in a process of its own, in an empty folder, with an empty environment, and with limits on
time, memory, files and processes; whatever it leaves running is ended. It may not start programs,
send signals, use the network or write elsewhere. What it prints is not read: the verdict comes
through a pipe, behind a secret. An answer that names perflab, copies one of its patterns, or is
found to have changed its judge is refused.

What is not. The judge calls the answer, so both share a process: who hides his intent from these
checks may still tamper with what counts. Read the code of an answer that is better than you
believe. And an answer may look at what this user may; a container that holds nothing else helps.

Exit status: 0 every file was graded, whatever the marks; 1 a file could not be read, or nothing
could be graded; 2 wrongly called; 130 interrupted, and nothing was written."""


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Everything that `python -m perflab grade` takes."""
    one.formatter_class, one.epilog = argparse.RawDescriptionHelpFormatter, MORE
    one.add_argument("folder", type=Path, metavar="FOLDER", help="what was handed in")
    one.add_argument("--chapters", default="", metavar="1,4", help="these only (default: all)")
    one.add_argument("--out", type=Path, metavar="FILE", help="(default: FOLDER/grades)")
    one.add_argument("--seconds", type=int, default=10, help="of processor time (default: 10)")
    one.add_argument("--memory", type=int, default=2048, metavar="MB", help="(default: 2048)")
    one.add_argument("--jobs", type=int, help="answers at a time (default: one a core)")


def run(options: argparse.Namespace) -> bool:
    """Grade the folder, write both files and say how it went; False where a file was unreadable."""
    from perflab.book.grading.grader import grade  # half a second of imports
    from perflab.book.grading.limits import Limits
    from perflab.book.grading.tables import summed, write

    require(1 <= options.seconds <= 3600, "--seconds", options.seconds, "from 1 to 3,600")
    require(64 <= options.memory <= 1 << 20, "--memory", options.memory, "from 64 MB to 1 TB")
    folder = options.folder.expanduser()
    out = (options.out or folder / "grades").expanduser()
    wanted = [name.strip() for name in options.chapters.split(",") if name.strip()]
    limits = Limits(options.seconds, 4 * options.seconds, options.memory << 20)
    graded = grade(folder, wanted, limits, options.jobs)
    files = [out.with_suffix(suffix) for suffix in (".csv", ".html")]
    write(graded, *files)
    print(summed(graded), *files, sep="\n")
    return not any(row.mark == "unreadable" for row in graded)
