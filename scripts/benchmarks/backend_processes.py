"""Processes that answer a line by a line: what they ship, how long they compute, how much memory they take.

The time is what the processor worked for a process, not what passed: on a machine that is shared, the latter
measures the others. Each process has one core, so that on an idle machine both are the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.backend_worker import BULK

ROOT = Path(__file__).parents[2]
_WORKER = Path(__file__).with_name("backend_worker.py")
_ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}
_NODE = """
const { answer } = (() => { %s
return { answer: (text) => model.answer(text) }; })();
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => process.stdout.write(JSON.stringify(answer(line)) + "\\n"));
"""


@dataclass(frozen=True)
class Backend:
    """One way to answer.

    Args:
        name: what the table calls it.
        command: of the process that answers.
        size: bytes of what must be shipped, the model included; Python, node or a browser not included.
        python_path: where modules are, if it is not this checkout.
        has_bulk: whether the process knows the line BULK.
    """

    name: str
    command: Sequence[str]
    size: int
    python_path: Path = ROOT
    has_bulk: bool = True


@dataclass
class Running:
    """A backend's process, and what it was measured at so far.

    Args:
        backend: the backend.
        alone: milliseconds per text, of each round in which texts are answered one by one.
        bulk: milliseconds per text, of each round in which all are answered at once.
    """

    backend: Backend
    alone: list[float] = field(default_factory=list)
    bulk: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._process = subprocess.Popen(
            self.backend.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**_ENVIRONMENT, "PYTHONPATH": str(self.backend.python_path)},
        )

    def ask(self, line: str) -> str:
        """The answer to a line.

        Raises:
            RuntimeError: the process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.backend.name} ended with {self._process.wait()}")
        return answer.removesuffix("\n")

    def measure(self, texts: Sequence[str]) -> list[str]:
        """Measure one round of each kind; gives the answers."""
        before = self.cpu_seconds()
        answers = [self.ask(text) for text in texts]
        self.alone.append(1e3 * (self.cpu_seconds() - before) / len(texts))
        if self.backend.has_bulk:
            before = self.cpu_seconds()
            self.ask(BULK)
            self.bulk.append(1e3 * (self.cpu_seconds() - before) / len(texts))
        return answers

    def cpu_seconds(self) -> float:
        """How long processors have worked for all threads of the process that still run."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def peak_memory(self) -> int:
        """The most memory so far, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def python_backend(
    name: str, module: str, task: str, model: Path, texts: Path, size: int, path: Path = ROOT, *options: str
) -> Backend:
    """A backend of this package; `model` is added to the size.

    Args:
        name: of the backend.
        module: that has `pipeline`.
        task: of the model.
        model: the folder.
        texts: the file with all texts.
        size: bytes of what is installed.
        path: where the module is.
        options: arguments of `pipeline`, as NAME=VALUE.
    """
    command = [sys.executable, str(_WORKER), module, task, str(model), str(texts), *options]
    return Backend(name, command, size + tree_size([model]), path)


def c_backend(name: str, source: Path) -> Backend:
    """The program that a C file becomes, which writes each answer at once."""
    program = source.with_suffix("")
    flags = ["-std=c99", "-O3", "-march=native", "-DNLP_MAIN"]
    subprocess.run(["cc", *flags, str(source), "-lm", "-o", str(program)], check=True)
    return Backend(name, ["stdbuf", "-oL", str(program)], program.stat().st_size, has_bulk=False)


def page_backend(name: str, page: Path) -> Backend:
    """What a page computes, in node: its script without what shows the answers.

    Raises:
        FileNotFoundError: node is not installed.
    """
    if shutil.which("node") is None:
        raise FileNotFoundError("node is not installed")
    from nlp_rnn.export.html.writing import RUNTIME, runtime

    text = page.read_text(encoding="utf-8")
    parts = [
        re.search(rf'<script[^>]*id="{part}"[^>]*>(.*?)</script>', text, re.DOTALL)
        for part in ("description", "weights")
    ]
    assert all(parts)
    description, weights = (part[1] for part in parts if part is not None)
    script = page.with_suffix(".js")
    made = f"const model = makeModel({description}, {json.dumps(weights.strip())});"
    script.write_text(_NODE % f"{runtime(*RUNTIME)}\n{made}", encoding="utf-8")
    return Backend(name, ["node", str(script)], page.stat().st_size, has_bulk=False)


def installed_size(names: Iterable[str], with_requirements: bool = True) -> int:
    """Bytes of installed distributions, without compiled files, and of all that they require."""
    found: dict[str, int] = {}
    waiting = [*names]
    while waiting:
        name = re.split(r"[^\w.-]", waiting.pop(), maxsplit=1)[0].lower().replace("_", "-")
        try:
            files = metadata.files(name) or []
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of another system
            continue
        if name not in found:
            paths = (Path(str(file.locate())) for file in files if file.suffix != ".pyc")
            found[name] = sum(path.stat().st_size for path in paths if path.is_file())
            if with_requirements:
                waiting += [text for text in requirements if "extra ==" not in text]
    return sum(found.values())


def package_requirements() -> list[str]:
    """What the package itself requires."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [str(text) for text in project["dependencies"]]


def tree_size(paths: Iterable[Path]) -> int:
    """Bytes of all files in folders, without compiled ones."""
    files = (file for path in paths for file in path.rglob("*") if "__pycache__" not in file.parts)
    return sum(file.stat().st_size for file in files if file.is_file())
