"""What a fresh machine relies on: make.py, the Makefile, the lock, conda's file, the workflows."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
CONDA_NAMES = {
    "matplotlib-base": "matplotlib",
    "brotli-python": "brotli",
    "msgpack-python": "msgpack",
}  # beside - and _, which are the same
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def declared() -> dict[str, Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + extras["test"] + extras["distributed"]
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


def bounds(requirements: dict[str, Requirement]) -> dict[str, str]:
    return {name: str(one.specifier) for name, one in requirements.items()}


# ── environment.yml


def conda() -> dict[str, Requirement]:
    lines = [line for line in CONDA["dependencies"] if isinstance(line, str)]
    lines += [line for line in CONDA["dependencies"][-1]["pip"] if line != "-e ."]
    found = {}
    for one in map(Requirement, lines):
        found[canonicalize_name(CONDA_NAMES.get(one.name, one.name))] = one
    return found


def test_conda_installs_the_same_packages_within_the_same_bounds():
    """environment.yml and pyproject.toml name the same packages with the same bounds."""
    theirs = bounds(conda())
    assert theirs.pop("python") == PROJECT["requires-python"]
    theirs.pop("pip")
    assert theirs == bounds(declared())


def test_conda_installs_the_package_itself_last():
    """pip comes last in environment.yml and ends with the repository, which Binder needs."""
    assert CONDA["dependencies"][-1]["pip"][-1] == "-e ."


# ── requirements.lock

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINS = [Requirement(line.rstrip(" \\")) for line in re.findall(r"(?m)^\w.*$", LOCK)]


def test_the_lock_names_no_host():
    """Any mirror serves the lock: it has no address in it."""
    assert "://" not in LOCK
    assert "index" not in LOCK


@pytest.mark.parametrize("name", sorted(declared()))
def test_the_lock_pins_what_the_project_asks_for(name: str):
    """Each declared package is pinned once or more, always within its bounds."""
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == name]
    versions = [str(pin.specifier).removeprefix("==") for pin in pins]
    assert versions
    assert all(declared()[name].specifier.contains(version) for version in versions)


def test_every_pin_is_exact_and_has_hashes():
    """pip and uv refuse a file whose hash is not in the lock."""
    assert len(PINS) > len(declared())
    for block in re.split(r"(?m)^(?=\w)", LOCK.partition("\n")[2])[1:]:
        assert re.match(r"[\w.-]+==\S+", block), block
        assert "--hash=sha256:" in block, block


# ── make.py


def clone(folder: Path) -> ModuleType:
    """make.py, loaded from a repository of its own that holds what it reads."""
    folder.mkdir(exist_ok=True)
    for name in ("make.py", "pyproject.toml", "requirements.lock"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    spec = importlib.util.spec_from_file_location("make_in_test", folder / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """make.py in a repository of its own, where installing is only counted, in `installed`."""
    module = clone(tmp_path)
    module.installed = 0

    def make_environment():
        Path(module.BIN).mkdir(parents=True, exist_ok=True)
        Path(module.PYTHON).unlink(missing_ok=True)
        Path(module.PYTHON).symlink_to(sys.executable)

    def install():
        module.installed += 1

    monkeypatch.setattr(module, "make_environment", make_environment)
    monkeypatch.setattr(module, "install", install)
    return module


def test_a_second_start_installs_nothing(make: ModuleType):
    """Set-up happens once, and again for none of its inputs unchanged."""
    make.set_up()
    make.set_up()
    assert make.installed == 1


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_input_sets_up_anew(make: ModuleType, name: str):
    """A pull that changes the lock or the metadata is followed by a new set-up."""
    make.set_up()
    with open(Path(make.ROOT) / name, "a") as file:
        file.write("# changed\n")
    make.set_up()
    assert make.installed == 2


def test_an_environment_whose_python_is_gone_is_made_anew(make: ModuleType):
    """An upgrade of the system's Python leaves a dead link behind: that is noticed."""
    make.set_up()
    Path(make.PYTHON).unlink()
    Path(make.PYTHON).symlink_to("/nowhere/python")
    make.set_up()
    assert make.installed == 2


def test_a_moved_repository_is_set_up_anew(tmp_path: Path):
    """Scripts in an environment hold its path, so it does not survive a move."""
    assert clone(tmp_path / "here").fingerprint() != clone(tmp_path / "there").fingerprint()


def test_an_interrupted_installation_is_begun_anew(
    make: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    """Whatever was half done counts as nothing."""

    def interrupted():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(make, "install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make.set_up()
    make.set_up()
    assert make.installed == 1


def test_clearing_begins_with_the_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A clearing that is cut off leaves no environment that looks complete."""
    module = clone(tmp_path)
    stamp = Path(module.STAMP)
    stamp.parent.mkdir()
    stamp.write_text("complete")

    def cut_off(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("venv.create", cut_off)
    with pytest.raises(KeyboardInterrupt):
        module.make_environment()
    assert not stamp.exists()


@pytest.mark.parametrize(
    ("fails", "commands"),
    [
        ((), ["pip uv<1", "uv --require-hashes", "uv --no-deps"]),
        (("pip uv<1",), ["pip uv<1", "pip --require-hashes", "pip --no-deps"]),
        (
            ("uv --require-hashes",),
            ["pip uv<1", "uv --require-hashes", "pip --require-hashes", "pip --no-deps"],
        ),
    ],
    ids=["with uv", "no uv", "uv fails"],
)
def test_pip_installs_where_uv_does_not(
    fails: tuple[str, ...],
    commands: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """uv does it where it can be had and succeeds; pip does all of it where not."""
    module = clone(tmp_path)
    called = []

    def call(command, **options):
        called.append(f"{command[2]} {next(w for w in command[-4:] if re.match('uv<|--[nr]', w))}")
        return 1 if called[-1] in fails else 0

    monkeypatch.setattr(module.subprocess, "call", call)
    module.install()
    assert called == commands


class Beside:
    """The process of the check that runs beside the others; it ends with `status`."""

    def __init__(self, status: int) -> None:
        self.status = status

    def wait(self) -> int:
        return self.status

    def kill(self) -> None:
        pass


@pytest.mark.parametrize(
    ("failing", "beside", "verdict"),
    [
        ("mypy", 0, "5 checks passed, 1 failed: types"),
        ("none", 1, "5 checks passed, 1 failed: systems"),
        ("--nbval-lax", 1, "4 checks passed, 2 failed: systems, notebooks"),
    ],
)
def test_every_check_runs_though_one_fails(
    make: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failing: str,
    beside: int,
    verdict: str,
):
    """make test goes on after a failure, shows what was said aside, and names what failed."""
    ran = []

    def python(arguments):
        ran.append(arguments)
        return 1 if failing in arguments else 0

    def beginning(arguments, said):
        ran.append(arguments)
        said.write("a line from aside\n")
        return Beside(beside)

    monkeypatch.setattr(make, "python", python)
    monkeypatch.setattr(make, "beginning", beginning)
    assert make.test(["-x"]) == 1
    assert len(ran) == len(make.CHECKS)
    assert sum("-x" in arguments for arguments in ran) == 2
    out = capsys.readouterr().out
    assert "a line from aside" in out
    assert out.endswith(f"{verdict}\n")


def test_every_test_is_run_by_one_check_and_no_more(make: ModuleType):
    """The folders that `tests` leaves out are those that `systems` runs."""
    checks = dict(make.CHECKS)
    left_out = [word.partition("=")[2] for word in checks["tests"] if word.startswith("--ignore")]
    assert left_out == checks["systems"][2:]


def test_an_old_python_can_read_make_py():
    """An interpreter too old for the book still says so, instead of failing at the syntax."""
    ast.parse((ROOT / "make.py").read_text("utf-8"), feature_version=(3, 6))


def test_make_py_imports_only_what_every_python_has():
    """make.py runs before anything is installed."""
    tree = ast.parse((ROOT / "make.py").read_text("utf-8"))
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    assert names <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def test_each_make_target_has_its_twin():
    """Every target of the Makefile is one command of make.py, and make.py's help has it."""
    targets = re.findall(r"(?m)^(\w+):\s+; @\$\(PYTHON\) make.py (\w+)", _text("Makefile"))
    phony = re.search(r"(?m)^\.PHONY: (.+)$", _text("Makefile"))[1].split()
    assert [twin for _, twin in targets] == [target for target, _ in targets] == phony
    described = ast.get_docstring(ast.parse(_text("make.py")))
    for target in set(phony) - {"help"}:
        assert f"python make.py {target} " in described


def test_wrong_use_of_make_py_shows_its_help():
    """An unknown command explains the known ones, sets nothing up, and fails."""
    command = [sys.executable, str(ROOT / "make.py"), "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 2
    assert "python make.py lab" in done.stdout


# ── CI


def test_ci_calls_the_readmes_test_command():
    """CI proves the command that the README gives to everyone."""
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert _text(".ci/run").splitlines()[-1] == "exec make test"
    assert "make test" in _text("README.md")


def test_workflows_cover_both_systems_and_every_python():
    """Linux and macOS, and each minor version from the oldest allowed to the newest tried."""
    matrix = yaml.safe_load(_text(".github/workflows/test.yml"))["jobs"]["test"]["strategy"]
    assert matrix["matrix"]["os"] == ["ubuntu-latest", "macos-latest"]
    assert matrix["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_one_command_and_name_no_host(path: Path):
    """Each job calls .ci/run alone, or the browser's tests; packages come from wherever its
    runner gets them."""
    (job,) = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    command = "make browser" if path.stem == "browser" else ".ci/run"
    (ran,) = [step["run"] for step in job["steps"] if "run" in step]
    assert ran.startswith(command)
    assert "://" not in path.read_text("utf-8")


def test_the_weekly_job_runs_unlocked():
    """Once a week the newest packages within the bounds are tried."""
    (job,) = yaml.safe_load(_text(".github/workflows/weekly.yml"))["jobs"].values()
    assert job["steps"][-1]["env"]["PERFLAB_UNLOCKED"] == "1"
    assert "PERFLAB_UNLOCKED" in _text("make.py")


def _text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")
