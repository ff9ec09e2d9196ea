"""Set up perflab and start it: what the Makefile calls, and its twin for machines without make.

    python make.py lab              open the workbook
    python make.py test             every check and every notebook
    python make.py run [1 …]        run chapters live and write a report
    python make.py notebooks [1 …]  regenerate notebooks/*.ipynb from notebooks/text
    python make.py copy FOLDER      a hand-out: chapters with their outputs cleared
    python make.py reset --predictions   forget the predictions; the record is kept beside
    python make.py grade FOLDER     judge what a class has handed in
    python make.py report           a page of your own run, to hand in
    python make.py doctor           what this machine has and lacks
    python make.py stress [PART …]  every pattern under 32 threads for a minute, and for long
    python make.py browser          chapter 1 in a real browser, as a reader goes through it
    python make.py bench [PART …]   race the patterns against their peers; README's table and figure
    python make.py lock             resolve requirements.lock again

Needs Python 3.11 or newer with venv and pip, and nothing else: it makes its own environment
in .venv from requirements.lock, and makes it again only when one of its inputs has changed.
PERFLAB_UNLOCKED=1 takes the newest packages within pyproject.toml's bounds instead.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
PYTHON = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")
LOCK = os.path.join(ROOT, "requirements.lock")
STAMP = os.path.join(VENV, "perflab.stamp")
OLDEST, NEWEST = (3, 11), (3, 14)  # what CI tests
PIP = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
UV = [PYTHON, "-m", "uv", "pip", "install", "--quiet"]
EXTRAS = "test,distributed"  # what the lock holds beside the dependencies
UNLOCKED = os.environ.get("PERFLAB_UNLOCKED", "") not in ("", "0")

CHECKS = [
    ("format", ["-m", "ruff", "format", "--check", "--quiet", "."]),
    ("lint", ["-m", "ruff", "check", "--quiet", "."]),
    ("types", ["-m", "mypy", "--no-error-summary"]),
    ("tests", ["-m", "pytest", "tests", "--ignore=tests/systems", "--ignore=tests/experiments"]),
    ("systems", ["-m", "pytest", "tests/systems", "tests/experiments"]),
    ("notebooks", ["-m", "pytest", "--nbval-lax", "--nbval-current-env", "notebooks"]),
]
ASIDE = "systems"  # runs beside those before it: it mostly waits, for processes of its own


def main(arguments):
    use_new_enough_python()
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    ours = {"test": test, "notebooks": notebooks, "lock": lock}
    ours.update(stress=stress, browser=browser, bench=bench)
    if command in ours:
        set_up()
        return ours[command](rest)
    if command in ("lab", "run", "copy", "reset", "grade", "report", "doctor"):
        set_up()
        return become(["-m", "perflab", command, *rest])
    print(__doc__)
    return 0 if command in ("help", "-h", "--help") else 2


def use_new_enough_python():
    """Go on with a newer interpreter from PATH where this one is too old."""
    if sys.version_info >= OLDEST:
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer and succeeds(
            [newer, "-c", "import venv"]
        ):  # a version manager's shim may be empty
            os.execv(newer, [newer, *sys.argv])
    sys.exit(f"perflab needs Python 3.11 or newer; this is {sys.version.split()[0]}.")


# ── The environment


def set_up():
    """Make .venv hold what requirements.lock says; return at once when it does already."""
    wanted = fingerprint()
    if is_set_up(wanted):
        return
    began = time.monotonic()
    print("Setting up perflab in .venv (once, about half a minute) …", flush=True)
    make_environment()
    install()
    with open(STAMP, "w") as stamp:  # last: an interrupted set-up is no set-up
        stamp.write(wanted)
    print(f"Set up in {time.monotonic() - began:.0f} s.", flush=True)


def is_set_up(wanted):
    if not os.path.exists(PYTHON):  # also false where the link's Python was uninstalled
        return False
    try:
        with open(STAMP) as stamp:
            return stamp.read() == wanted
    except OSError:
        return False


def fingerprint():
    """What .venv depends on: the lock, the package's metadata, the interpreter, this folder."""
    interpreter = sys.implementation.cache_tag + getattr(sys, "abiflags", "")
    digest = hashlib.sha256(f"{interpreter} {ROOT} {UNLOCKED}".encode())
    for name in (LOCK, os.path.join(ROOT, "pyproject.toml")):
        with open(name, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def make_environment():
    """Make an empty .venv in place of whatever stands there."""
    if os.path.exists(STAMP):
        os.remove(STAMP)  # first: a clearing that is interrupted must not look complete
    if os.path.islink(VENV) or os.path.isfile(VENV):
        os.remove(VENV)
    try:
        import venv  # Debian splits it off, so a machine may lack it

        venv.create(VENV, with_pip=True, clear=True, symlinks=os.name != "nt")
    except (ImportError, subprocess.CalledProcessError):
        sys.exit(
            "This Python cannot make environments: install its venv package "
            "(Debian and Ubuntu: apt install python3-venv) and try again."
        )
    except OSError as error:
        sys.exit(f"Cannot make {VENV}: {error}. Is this folder yours to write, the disk not full?")


def install():
    """Install everything with uv where it can be had, else with pip, which takes longer."""
    what = [["--require-hashes", "-r", LOCK], ["--no-deps", "--no-build-isolation", "-e", ROOT]]
    if UNLOCKED:
        what = [["--upgrade", "-e", f"{ROOT}[{EXTRAS}]"]]
    if succeeds([*PIP, "uv<1"]) and all(run([*UV, *packages]) == 0 for packages in what):
        return
    print("Without uv; with pip it takes some two minutes …", flush=True)
    if not all(run([*PIP, *packages]) == 0 for packages in what):
        sys.exit("Could not install. Is the network there? Then run the same command again.")


def install_extra(name, left_out):
    """Install what one command alone needs; tell what this machine cannot have, and go on."""
    import tomllib  # not at the top: a Python too old for it reads this file to find a newer one

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        packages = tomllib.load(file)["project"]["optional-dependencies"][name]
    tool = UV if succeeds([PYTHON, "-m", "uv", "--version"]) else PIP
    if succeeds([*tool, *packages]):
        return
    for package in packages:
        if not succeeds([*tool, package]):
            print(f"{package} cannot be installed here: {left_out}", flush=True)


# ── Commands


def test(arguments):
    """Run every check, whatever the others say; tell at the end which failed."""
    checks = dict(CHECKS)
    for name in ("tests", ASIDE):
        checks[name] = [*checks[name], *arguments]
    failed = []
    with tempfile.TemporaryFile("w+") as said:
        aside = beginning(checks[ASIDE], said)
        try:
            for name, command in checks.items():
                began = time.monotonic()
                print(f"\n── {name}", flush=True)
                status = awaited(aside, said) if name == ASIDE else python(command)
                if status:
                    failed.append(name)
                result = "FAILED" if status else "passed"
                print(f"── {name}: {result}, {time.monotonic() - began:.0f} s", flush=True)
        finally:
            aside.kill()
    names = ": " + ", ".join(failed) if failed else ""
    print(f"\n{len(CHECKS) - len(failed)} checks passed, {len(failed)} failed{names}")
    return 1 if failed else 0


def awaited(process, said):
    """Its exit status, once it has ended; what it said meanwhile is shown then."""
    status = process.wait()
    said.seek(0)
    sys.stdout.writelines(said)
    return status


def notebooks(arguments):
    return python(["-m", "perflab.book.publish", *arguments])


def stress(arguments):
    return python([os.path.join("tests", "stress", "run.py"), *arguments])


def bench(arguments):
    """Run the races, then write what they found into the README and its figure."""
    install_extra("bench", "its races are skipped")
    race = os.path.join("tests", "benchmarks", "race.py")
    return python([race, *arguments]) or python([race, "--table"])


def browser(arguments):
    """Read chapter 1 in the system's Chromium; without one, a line says what is missing."""
    install_extra("browser", "the tests are skipped")
    return python(["-m", "pytest", "-rs", os.path.join("tests", "browser"), *arguments])


def lock(arguments):
    """Resolve anew; the lock names no host, holds for every platform, and carries hashes."""
    command = ["-m", "uv", "pip", "compile", "pyproject.toml", "--universal"]
    command += [f"--extra={extra}" for extra in EXTRAS.split(",")]
    command += ["--generate-hashes", "--no-emit-index-url", "--python-version", "3.11"]
    command += ["--upgrade", "--quiet", "--output-file", "requirements.lock"]
    return python([*command, "--custom-compile-command", "make lock", *arguments])


# ── Processes


def python(arguments):
    return run([PYTHON, *arguments], cwd=ROOT)


def beginning(arguments, said):
    """A process that runs on its own and writes into the file `said`."""
    command, options = [PYTHON, *arguments], {"cwd": ROOT, "env": environment()}
    return subprocess.Popen(command, stdout=said, stderr=said, **options)


def become(arguments):
    """Go on as .venv's Python, in the caller's folder: signals then reach it directly."""
    if os.name == "nt":  # where exec would leave the terminal to two processes
        return run([PYTHON, *arguments])
    sys.stdout.flush()
    return os.execve(PYTHON, [PYTHON, *arguments], environment())


def run(command, **options):
    return subprocess.call(command, env=environment(), **options)


def succeeds(command):
    silent = subprocess.DEVNULL
    return subprocess.call(command, env=environment(), stdout=silent, stderr=silent) == 0


def environment():
    """As in an activated .venv: no other environment's packages or kernels come first.

    uv trusts whom the system trusts, as pip does: a company's proxy has a certificate of its own.
    """
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    path = os.pathsep.join([BIN, os.environ.get("PATH", os.defpath)])
    ours = {"VIRTUAL_ENV": VENV, "JUPYTER_PREFER_ENV_PATH": "1", "UV_COMPILE_BYTECODE": "1"}
    return {"UV_SYSTEM_CERTS": "1", **kept, **ours, "PATH": path}


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says it; a set-up that was cut off starts anew next time
