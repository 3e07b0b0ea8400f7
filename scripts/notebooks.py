"""Execute the notebooks of docs/notebooks/ in place, and keep of them what the site shows.

    python scripts/notebooks.py                             # all of them
    python scripts/notebooks.py docs/notebooks/shapes.ipynb
    python scripts/notebooks.py --check                     # execute nothing; list what must not be committed

Each notebook is executed from its start, in an empty temporary folder, by a kernel with this checkout, one
thread, a cache of its own and no network.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MAX_BYTES = 250_000
LIMIT = 300
"""Seconds that one cell may take."""

_PLACE = re.compile(r"(?<![\w.~/])/(?:home|root|tmp|var|usr|opt|work|Users|private)/\w|\b[A-Z]:\\\w")
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")


def execute(notebook: Any, folder: Path, environment: Mapping[str, str]) -> None:
    """Execute a notebook from its start; its outputs are replaced.

    Args:
        notebook: the notebook.
        folder: where its kernel works.
        environment: the variables of the kernel; see `kernel_environment`.

    Raises:
        CellExecutionError: a cell failed.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # no warning that the kernel listens on loopback
    )
    client.execute(env=dict(environment))


def kernel_environment(folder: Path) -> dict[str, str]:
    """The variables of a kernel that sees this checkout, and neither the network nor the user's settings.

    Args:
        folder: for what it keeps.
    """
    return {
        **{name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "NLP_RNN_THEME")},
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "NLP_RNN_CACHE": str(folder / "cache"),
        "PYTHONWARNINGS": "ignore:IProgress not found",  # without ipywidgets, which nothing here needs
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
    }


def clean(notebook: Any) -> None:
    """Leave out what differs between machines and editors: metadata, and prints that came in pieces.

    Pictures get a palette of 256 colors.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)


def _joined(outputs: Sequence[Any]) -> list[Any]:
    """Outputs, of which consecutive parts of one stream are one."""
    joined: list[Any] = []
    for output in outputs:
        if "metadata" in output:
            kept = {kind: value for kind, value in output.metadata.items() if kind in output.data}
            output.metadata = nbformat.from_dict(kept)
            if "image/png" in output.data:
                output.data["image/png"] = _small(output.data["image/png"])
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _small(picture: str) -> str:
    """A PNG in base64, with a palette; as it was if it has one."""
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    if image.mode == "P":
        return picture
    data = io.BytesIO()
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(data, "PNG", optimize=True)
    return base64.b64encode(data.getvalue()).decode()


def problems(path: Path) -> list[str]:
    """What must be mended before a notebook is committed, in one line each.

    Args:
        path: the notebook.
    """
    notebook = nbformat.read(path, as_version=4)
    found = []
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        found.append(f"is not valid: {str(error).splitlines()[0]}")
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        found.append("is not of format 4.5")
    if notebook.metadata != METADATA:
        found.append("has other metadata than the kernel and its language")
    if path.stat().st_size > MAX_BYTES:
        found.append(f"is larger than {MAX_BYTES // 1000} kB")
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        found.append("does not begin with a title, `# ...`")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("was not executed from its start to its end")
    for place, cell in enumerate(notebook.cells, 1):
        found += [f"cell {place} {problem}" for problem in _cell_problems(cell)]
    return found


def _cell_problems(cell: Any) -> list[str]:
    found = []
    if set(cell.metadata) - {"tags"}:
        found.append("has metadata")
    outputs = cell.get("outputs", ())
    texts = [cell.source, *(text for output in outputs for text in _texts(output))]
    if any(_PLACE.search(text) for text in texts):
        found.append("names a place of one machine")
    if any(_ADDRESS.search(text) for text in texts):
        found.append("shows the address of an object, which differs each time")
    for output in outputs:
        if output.output_type == "error":
            found.append(f"failed with {output.ename}")
        if output.get("name") == "stderr":
            found.append("wrote to standard error, where warnings and progress bars are")
    return found


def _texts(output: Any) -> list[str]:
    texts = [output.text] if "text" in output else []
    return texts + [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]


def kinds(notebook: Any) -> list[list[tuple[str, ...]]]:
    """The kinds of the outputs of each cell of code: what is the same on all machines, other than numbers.

    Args:
        notebook: an executed notebook.
    """
    return [
        [
            (output.output_type, output.get("name", ""), *sorted(output.get("data", {})))
            for output in _joined(cell.outputs)
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute or check notebooks.

    Args:
        arguments: of the command line.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    parser.add_argument("--check", action="store_true", help="execute nothing")
    options = parser.parse_args(arguments)
    found = 0
    for path in options.notebooks:
        if not options.check:
            start = time.perf_counter()
            notebook = nbformat.read(path, as_version=4)
            with tempfile.TemporaryDirectory() as temporary:
                work = Path(temporary, "work")
                work.mkdir()
                try:
                    execute(notebook, work, kernel_environment(Path(temporary)))
                except CellExecutionError as error:
                    print(f"{path.name}: {error.ename}: {error.evalue} in\n{error}", file=sys.stderr)
                    return 1
            clean(notebook)
            nbformat.write(notebook, path)
            seconds = time.perf_counter() - start
            print(f"{path.name}: {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB")
        for problem in problems(path):
            print(f"{path.name} {problem}", file=sys.stderr)
            found = 1
    return found


if __name__ == "__main__":
    sys.exit(main())
