"""Set up perflab and start it: the Makefile's twin for machines without make.

    python make.py lab              open the workbook
    python make.py test             every check and every notebook
    python make.py notebooks [1 …]  regenerate notebooks/*.ipynb from notebooks/text
    python make.py doctor           what this machine has and lacks
    python make.py run [1 …]        run chapters live and write a report
    python make.py lock             resolve requirements.lock again

Needs Python 3.11 or newer with venv and pip, and nothing else: it makes its own environment
in .venv from requirements.lock, and makes it again only when one of its inputs has changed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
PYTHON = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")
LOCK = os.path.join(ROOT, "requirements.lock")
STAMP = os.path.join(VENV, "perflab.stamp")
OLDEST = (3, 11)
EXTRAS = "test"  # what the lock holds beside the dependencies

CHECKS = [
    ("format", ["-m", "ruff", "format", "--check", "--quiet", "."]),
    ("lint", ["-m", "ruff", "check", "--quiet", "."]),
    ("types", ["-m", "mypy", "--no-error-summary"]),
    ("tests", ["-m", "pytest", "tests"]),
    ("notebooks", ["-m", "pytest", "--nbval-lax", "--nbval-current-env", "notebooks"]),
]


def main(arguments):
    use_new_enough_python()
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    commands = {"test": test, "notebooks": notebooks, "lock": lock}
    if command in commands:
        set_up()
        return commands[command](rest)
    if command in ("lab", "doctor", "run", "copy"):
        set_up()
        return python(["-m", "perflab", command, *rest])
    print(__doc__)
    return 0 if command in ("help", "-h", "--help") else 2


def use_new_enough_python():
    """Go on with a newer interpreter from PATH where this one is too old."""
    if sys.version_info >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        newer = shutil.which("python3.%d" % minor)
        if newer:
            os.execv(newer, [newer, *sys.argv])
    sys.exit("perflab needs Python 3.11 or newer; this is %s" % sys.version.split()[0])


def set_up():
    """Make .venv hold what requirements.lock says; return at once when it does already."""
    wanted = fingerprint()
    if os.path.exists(STAMP) and os.path.exists(PYTHON):
        with open(STAMP) as stamp:
            if stamp.read() == wanted:
                return
    began = time.monotonic()
    print("Setting up perflab in .venv (once; about half a minute) …", flush=True)
    import venv  # Debian splits it off, so a machine may lack it: then this says so

    try:
        venv.create(VENV, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        sys.exit("This Python cannot make environments: install its venv package "
                 "(Debian and Ubuntu: apt install python3-venv) and try again.")
    install()
    with open(STAMP, "w") as stamp:
        stamp.write(wanted)
    print("Set up in %.0f s." % (time.monotonic() - began), flush=True)


def install():
    """Install the lock and the package itself: with uv where PyPI has it, else with pip."""
    quiet = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    package = ["--no-deps", "--no-build-isolation", "--editable", ROOT]
    if subprocess.call([*quiet, "uv<1"]) == 0:
        environment = dict(os.environ, UV_COMPILE_BYTECODE="1", VIRTUAL_ENV=VENV)
        uv = [PYTHON, "-m", "uv", "pip", "install", "--quiet"]
        subprocess.check_call([*uv, "--require-hashes", "-r", LOCK], env=environment)
        subprocess.check_call([*uv, *package], env=environment)
    else:
        subprocess.check_call([*quiet, "--require-hashes", "-r", LOCK])
        subprocess.check_call([*quiet, *package])


def fingerprint():
    """What .venv depends on: the lock, the package's metadata, the interpreter, this folder."""
    digest = hashlib.sha256((sys.version + ROOT).encode())
    for name in (LOCK, os.path.join(ROOT, "pyproject.toml")):
        with open(name, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def test(arguments):
    """Run every check, whatever the others say; tell at the end which failed."""
    failed = []
    for name, command in CHECKS:
        began = time.monotonic()
        print("\n── %s" % name, flush=True)
        if python([*command, *(arguments if name == "tests" else [])]) != 0:
            failed.append(name)
        print("── %s: %s, %.0f s" % (name, "failed" if name in failed else "passed",
                                     time.monotonic() - began), flush=True)
    print("\n%d passed, %d failed%s" % (len(CHECKS) - len(failed), len(failed),
                                        ": " + ", ".join(failed) if failed else ""))
    return 1 if failed else 0


def notebooks(arguments):
    return python(["-m", "perflab.book.publish", *arguments])


def lock(arguments):
    """Resolve anew; the lock names no host, holds for every platform, and carries hashes."""
    command = ["-m", "uv", "pip", "compile", "pyproject.toml", "--extra", EXTRAS, "--universal",
               "--generate-hashes", "--no-emit-index-url", "--python-version", "3.11",
               "--upgrade", "--quiet", "--output-file", "requirements.lock",
               "--custom-compile-command", "make lock"]
    return python([*command, *arguments])


def python(arguments):
    return subprocess.call([PYTHON, *arguments], cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
