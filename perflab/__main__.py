"""The workbook from the command line: lab, run, report, copy, grade, reset, doctor."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from perflab.book.grading import command as grading
from perflab.book.readers import ROOT, chapters, copy_chapters, my_folder, pages
from perflab.book.reset import reset_predictions
from perflab.book.steps import fill
from perflab.errors import PerflabError

PASSED, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 well, 1 failed, 2 wrongly called."""
    options = parser().parse_args(arguments)
    commands = {"lab": lab, "run": run, "report": report, "copy": copy, "grade": grade}
    commands |= {"reset": reset, "doctor": doctor}
    try:
        return commands[options.command](options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:  # another Python than the environment's
        sys.exit(f"perflab: {error.name} is not installed here; python make.py installs all.")
    except (PerflabError, ValueError) as error:
        print(f"perflab {options.command}: {error}", file=sys.stderr)
        return USAGE if isinstance(error, ValueError) else FAILED


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser("perflab", description=__doc__)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=summary, description=summary)

    fresh = "take every chapter anew; your copies keep on under another name"
    one = command("lab", "Open JupyterLab on your own copies of the chapters.")
    one.add_argument("--no-browser", action="store_true", help="print the address only")
    one.add_argument("--port", type=port, help="this port or none (default: a free one from 8888)")
    one.add_argument("--fresh", action="store_true", help=fresh)

    one = command("run", "Run chapters live; executed copies and a report go to my/runs/.")
    one.add_argument("chapters", nargs="*", metavar="CHAPTER", help="number or name (default: all)")

    one = command("copy", "Copy chapters into a folder, outputs cleared: a hand-out.")
    one.add_argument("folder", type=Path, metavar="FOLDER")
    one.add_argument("--chapters", default="", metavar="1,4", help="these only (default: all)")
    one.add_argument("--fresh", action="store_true", help=fresh)

    one = command("report", "One page of your run to hand in, made from your record.")
    one.add_argument("--out", type=Path, metavar="FILE", help="default: report.html in your folder")

    grading.add_arguments(command("grade", grading.SUMMARY))

    one = command("reset", "Begin anew; the record as it was is kept under another name.")
    one.add_argument("--predictions", action="store_true", required=True, help="forget all of them")

    command("doctor", "What this machine has and lacks for the book, with a remedy for each.")
    return whole


def port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise ValueError(text)
    return number


def lab(options: argparse.Namespace) -> int:
    """Copy what is not there yet, then become JupyterLab in the reader's folder."""
    mine = my_folder()
    for copied in copy_chapters(mine, fresh=options.fresh):
        if copied.outcome != "same":
            print(copied)
    fill(mine)
    command = [sys.executable, "-m", "jupyterlab", "--log-level=WARN"]
    command += [f"--ServerApp.root_dir={mine}"]
    command += [f"--LabApp.default_url={first_page()}"]
    if options.no_browser:
        command += ["--no-browser"]
    if options.port:
        command += [f"--ServerApp.port={options.port}", "--ServerApp.port_retries=0"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command += ["--allow-root"]
    sys.stdout.flush()
    os.chdir(mine)
    if os.name != "nt":  # where exec would leave the terminal to two processes
        os.execve(sys.executable, command, lab_environment(mine))
    return subprocess.call(command, env=lab_environment(mine))


def first_page() -> str:
    """The contents; beside them Lab opens whatever was open when the reader left."""
    return f"/lab/tree/{(pages() or chapters())[0].name}"


def lab_environment(mine: Path) -> dict[str, str]:
    """The repository's settings, and a home in my/ for what Lab writes.

    The reader's own Jupyter settings, extensions and kernels neither change this Lab nor are
    changed by it. Only what a running server notes of itself stays at its usual place: it has to
    be private, which not every file system can promise.
    """
    from jupyter_core.paths import jupyter_runtime_dir

    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER_")}
    if os.access(Path.home(), os.W_OK):
        environment["JUPYTER_RUNTIME_DIR"] = jupyter_runtime_dir()
    return {
        **environment,
        "JUPYTER_CONFIG_PATH": str(ROOT / ".jupyter"),
        "JUPYTER_CONFIG_DIR": str(mine / ".jupyter"),
        "JUPYTER_DATA_DIR": str(mine / ".jupyter" / "data"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel before any other
    }


def run(options: argparse.Namespace) -> int:
    from perflab.book.running import run_chapters  # Jupyter's converters take a second to import

    runs = run_chapters(options.chapters)
    for chapter in runs.chapters:
        print(chapter)
    print(f"Report: {runs.folder / 'index.html'}")
    return PASSED if runs.passed else FAILED


def copy(options: argparse.Namespace) -> int:
    wanted = [name.strip() for name in options.chapters.split(",") if name.strip()]
    for copied in copy_chapters(options.folder.expanduser(), wanted, options.fresh):
        print(copied)
    return PASSED


def report(options: argparse.Namespace) -> int:
    from perflab.book.report import write_report  # reads the record, which takes sqlite-utils

    print(write_report(options.out.expanduser() if options.out else None))
    return PASSED


def grade(options: argparse.Namespace) -> int:
    return PASSED if grading.run(options) else FAILED


def reset(options: argparse.Namespace) -> int:
    print(reset_predictions(my_folder()))
    return PASSED


def doctor(options: argparse.Namespace) -> int:
    from perflab.doctor import examine, table

    findings = list(examine())
    print(table(findings))
    return FAILED if any(finding.state == "missing" for finding in findings) else PASSED


if __name__ == "__main__":
    sys.exit(main())
