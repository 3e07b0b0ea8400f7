"""Change the code at random places, one at a time, and count how often a test fails.

    python scripts/mutate.py nlp_rnn/models --mutants 150 --seed 1

Places are drawn first, then one mutation at each, so that a call with many arguments counts once. The
mutations are those of mutmut (another number, operator, string or boolean, an argument or a value that
is None, an argument left out), and three more: a condition negated, a statement or a `raise` left out.
For each mutant those tests run that execute the line: of the file's own tests first, then of those of the
folders around it up to the room, then of those named by `--also`, until one fails. All of them run if the
line is executed by an import or by a fixture that tests share. A mutant is killed if a test fails, the
process dies, or a test takes longer than `--limit` seconds. The rest are printed: each is a missing test,
dead code, or equivalent.

Left out, since no test of an answer can tell: docstrings, imports, annotations (but not their ranges),
`assert`, `__repr__`, what a message says (inside `raise`, `warn`, `print`), `cast`, decorators, and the
arguments `strict` (of `zip`), `stacklevel`, and `device` (on the CPU all tensors are on one).

Each mutant is a fork of a process that has imported all but the package, in a copy of the checkout.
Needs mutmut, which the package does not: `pip install "mutmut>=3.8,<4"`. Its own runner draws no sample
and leaves out functions with decorators; cosmic-ray has no mutations of arguments.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import coverage
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

MEMORY = 12 * 2**30  # bytes; a mutant may ask for any amount
Tests = dict[Path, dict[int, list[str]]]
IGNORED_FUNCTIONS = {"__repr__", "__str__", "extra_repr"}
IGNORED_CALLS = {"TypeVar", "print", "warn", "warning", "info", "debug"}
IGNORED_ARGUMENTS = {"strict", "stacklevel", "device"}


@dataclass(frozen=True)
class Place:
    """A node of a file, and what could stand in its stead."""

    file: Path
    lines: range
    module: cst.Module
    node: cst.CSTNode
    mutations: Sequence[cst.CSTNode]


def negate(node: cst.If | cst.While | cst.CompIf) -> Iterator[cst.CSTNode]:
    """Negate a condition."""
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def leave_out(node: cst.Expr | cst.Raise) -> Iterator[cst.CSTNode]:
    """Leave a statement out."""
    yield cst.Pass()


OPERATORS = [
    *mutation_operators,
    ((cst.If, cst.While, cst.CompIf), negate),
    ((cst.Expr, cst.Raise), leave_out),
]


def called(node: cst.CSTNode) -> str:
    """The last name of what is called: `warn` of `warnings.warn(...)`."""
    function = getattr(node, "func", None)
    return str(getattr(getattr(function, "attr", function), "value", ""))


def mutations(node: cst.CSTNode) -> list[cst.CSTNode]:
    """All mutations of one node."""
    found = [new for kind, mutate in OPERATORS if isinstance(node, kind) for new in mutate(node)]
    if isinstance(node, cst.Call):
        kept = [arg for arg in node.args if arg.keyword and arg.keyword.value in IGNORED_ARGUMENTS]
        found = [new for new in found if all(any(arg is other for other in new.args) for arg in kept)]
    return found


def ignored(node: cst.CSTNode) -> bool:
    """Whether no test can tell what stands in a node."""
    match node:
        case cst.Import() | cst.ImportFrom() | cst.Assert() | cst.Decorator():
            return True
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString() | cst.Ellipsis()):
            return True
        case cst.FunctionDef(name=cst.Name(value=name), decorators=decorators):
            names = {getattr(decorator.decorator, "value", None) for decorator in decorators}
            return name in IGNORED_FUNCTIONS or bool(names & {"overload", "abstractmethod"})
        case cst.If(test=cst.Name(value="TYPE_CHECKING")):
            return True
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value="__all__"))]):
            return True
        case cst.Arg(keyword=cst.Name(value=name)):
            return name in IGNORED_ARGUMENTS
    return called(node) in IGNORED_CALLS


def places(file: Path) -> Iterator[Place]:
    """All places of a file at which there is a mutation."""
    wrapper = MetadataWrapper(cst.parse_module(file.read_text("utf-8")))
    positions = wrapper.resolve(PositionProvider)

    def walk(node: cst.CSTNode, first: int = 1, annotation: bool = False) -> Iterator[Place]:
        if ignored(node):
            return
        if isinstance(node, cst.BaseSmallStatement | cst.BaseCompoundStatement):
            first = positions[node].start.line
        annotation = (annotation or isinstance(node, cst.Annotation)) and not isinstance(node, cst.Call)
        if called(node) == "cast":
            yield from walk(node.args[-1], first)
            return
        if not annotation and (found := mutations(node)):
            header = node.test if isinstance(node, cst.If | cst.While) else node
            lines = range(first, positions[header].end.line + 1)
            yield Place(file, lines, wrapper.module, node, found)
        if not isinstance(node, cst.Raise):
            for child in node.children:
                yield from walk(child, first, annotation)

    return walk(wrapper.module)


def test_paths(file: Path, also: Iterable[str]) -> list[Path]:
    """Where the tests of a file are, from near to far."""
    folder = Path("tests", *file.parts[1:-1])
    near = [folder / f"test_{file.stem.strip('_')}.py", folder, *folder.parents]
    return [*(path for path in near if path.exists() and path.parts[1:]), *map(Path, also)]


class TimeLimit:
    """Pytest plugin that ends the process if a test takes too long, even inside of C code."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Set the clock anew for each test."""
        signal.alarm(self.seconds)
        return (yield)


class Selection:
    """Pytest plugin that runs these tests only."""

    def __init__(self, tests: Collection[str]) -> None:
        self.tests = tests

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the others out."""
        items[:] = [item for item in items if item.nodeid in self.tests]


class Executed:
    """Pytest plugin that records which tests execute which lines of the package."""

    def __init__(self, folder: Path) -> None:
        self.coverage = coverage.Coverage(data_file=None, config_file=False, source=[str(folder / "nlp_rnn")])
        self.coverage.start()
        self.test = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note the test."""
        self.test = item.nodeid
        self.coverage.switch_context(self.test)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        """Note that what other tests use too is of no one test."""
        if fixturedef.scope == "function":
            return (yield)
        self.coverage.switch_context("")
        try:
            return (yield)
        finally:
            self.coverage.switch_context(self.test)

    def tests(self, folder: Path) -> Tests:
        """By file and line the tests; "" stands for imports and shared fixtures."""
        self.coverage.stop()
        data = self.coverage.get_data()
        files = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
        return {Path(file).relative_to(folder): lines for file, lines in files.items()}


def run_tests(
    arguments: Sequence[str],
    folder: Path,
    limit: int,
    selection: Selection | None = None,
    record: bool = False,
) -> int:
    """Run tests in a forked process; returns its exit code, or minus the signal that ended it.

    Args:
        arguments: For pytest.
        folder: Copy of the checkout; output goes to a file next to it.
        limit: Seconds for one test.
        selection: The tests to run, if not all.
        record: Write to a file beside the folder which tests execute which lines, and the modules imported.
    """
    if not (process := os.fork()):
        os.setsid()
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = str(folder)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        with open(folder.parent / "output", "w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        signal.alarm(10 * limit)  # imports, until the first test begins
        options = ["-x", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        options.append(f"--basetemp={folder.parent / 'temporary'}")
        code = 3
        with suppress(BaseException):
            executed = Executed(folder) if record else None
            code = pytest.main(
                [*options, *arguments],
                plugins=[plugin for plugin in (TimeLimit(limit), selection, executed) if plugin],
            )
            if executed:
                files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
                others = [name for name, file in files.items() if file and not file.startswith(str(folder))]
                assert "nlp_rnn" not in others, "the tests import another copy of the package"
                (folder.parent / "recorded").write_bytes(pickle.dumps((others, executed.tests(folder))))
        os._exit(code)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    finally:
        with suppress(ProcessLookupError):  # no process that a test started stays behind
            os.killpg(process, signal.SIGKILL)


def check_and_preload(paths: Iterable[str], folder: Path, limit: int) -> Tests:
    """Run the tests without a mutation, then import what they import, the package excepted."""
    recorded = folder.parent / "recorded"
    if run_tests([*paths], folder, limit, record=True) or not recorded.exists():
        sys.exit(f"the tests fail without a mutation:\n{(folder.parent / 'output').read_text()[-3000:]}")
    modules, tests = pickle.loads(recorded.read_bytes())
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    return dict(tests)


def copy_checkout(folder: Path) -> None:
    """Copy all files that git does not ignore."""
    listed = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], text=True)
    for name in filter(os.path.isfile, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, folder / name)


def kill(place: Place, tests: Tests, options: Any, folder: Path) -> int:
    """Run the tests of a mutant; returns the exit code of those that fail, else 0."""
    executed = tests.get(place.file, {})
    known = [executed[line] for line in place.lines if line in executed]
    chosen = set(chain.from_iterable(known)) or {""}
    done: list[Path] = []
    for path in test_paths(place.file, options.also):
        selection, arguments = None, [str(path), *(f"--ignore={earlier}" for earlier in done)]
        if "" not in chosen:
            files = {Path(test.partition("::")[0]) for test in chosen}
            near = {file for file in files if file.is_relative_to(path)}
            near = {file for file in near if not any(file.is_relative_to(earlier) for earlier in done)}
            selection, arguments = Selection(chosen), sorted(map(str, near))
        done.append(path)
        code = run_tests(arguments, folder, options.limit, selection) if arguments else 0
        if code not in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
            return code
    return 0


def main() -> None:
    """Draw mutants, run their tests, and print the survivors and the score."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path, help="files and folders of the package")
    parser.add_argument("--mutants", type=int, default=100, help="how many; default: 100")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--limit", type=int, default=60, help="seconds for one test; default: 60")
    parser.add_argument("--also", nargs="*", default=[], help="more tests, for what the room's do not kill")
    options = parser.parse_args()
    # Set before torch and datasets are imported, as tests/conftest.py does.
    for variable in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ.setdefault(variable, "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what it started
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True  # a mutant can have the size and the second of the file before it
    listed = (path.rglob("*.py") if path.is_dir() else [path] for path in options.paths)
    files = sorted({file for paths in listed for file in paths})
    every = [place for file in files for place in places(file)]
    generator = random.Random(options.seed)
    drawn = generator.sample(every, min(options.mutants, len(every)))
    started, survived, late = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve() / "checkout"
        copy_checkout(folder)
        paths = {str(path) for place in drawn for path in test_paths(place.file, options.also)}
        tests = check_and_preload(paths, folder, options.limit)
        for number, place in enumerate(drawn, 1):
            target, original = folder / place.file, place.module.code
            mutated = place.module.deep_replace(place.node, generator.choice(place.mutations)).code
            target.write_text(mutated, "utf-8")
            code = kill(place, tests, options, folder)
            target.write_text(original, "utf-8")
            late += code == -signal.SIGALRM
            if not code:
                survived += 1
                changes = difflib.unified_diff(original.split("\n"), mutated.split("\n"), n=0, lineterm="")
                print(f"SURVIVED {place.file}:{place.lines[0]}", *list(changes)[3:], sep="\n", flush=True)
            print(f"{number - survived} of {number} killed", file=sys.stderr, flush=True)
    print(
        f"{1 - survived / len(drawn):.1%} of {len(drawn)} mutants killed, {late} of them by the time limit, "
        f"at {len(every)} places, seed {options.seed}, in {(time.monotonic() - started) / 60:.0f} minutes"
    )


if __name__ == "__main__":
    main()
