"""Each notebook of docs/notebooks/ is as `python scripts/notebooks.py` writes it, and runs from its start."""

import re

import jupyter_client.launcher
import nbformat
import notebooks
import pytest
from forked import ForkedPython

NOTEBOOKS = sorted(notebooks.FOLDER.glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]

# Smaller trainings, which leave outputs of the same kinds.
SMALL = {
    r"max_epochs=\d+": "max_epochs=2",
    r"max_examples=\d{4}": "max_examples=600",
    r"train=6_400, validation=250, test=1_000, hidden_dim=32, steps=300": (
        "train=320, validation=64, test=64, hidden_dim=32, steps=10"
    ),
    r"range\(3000\)": "range(600)",
    r'"train": 6000': '"train": 400',
    r"10_000\)": "2_000)",
    r"for _ in range\(5\)\)": "for _ in range(1))",
    "STEPS = 12": "STEPS = 2",
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_is_fit_to_be_read(path):
    assert notebooks.problems(path) == []


def test_every_notebook_is_in_the_table_and_in_the_menu():
    index = (notebooks.FOLDER / "index.md").read_text(encoding="utf-8")
    menu = (notebooks.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert f"]({path.name})" in index
        assert f"notebooks/{path.name}" in menu


def test_what_makes_the_trainings_smaller_is_in_the_notebooks():
    sources = "\n".join(cell.source for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells)
    assert [pattern for pattern in SMALL if not re.search(pattern, sources)] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_notebook_runs(path, whole, tmp_path, monkeypatch):
    notebook = nbformat.read(path, as_version=4)
    shown = notebooks.kinds(notebook)
    if not whole:
        monkeypatch.setattr(jupyter_client.launcher, "Popen", ForkedPython)
        for cell in notebook.cells:
            for pattern, replacement in SMALL.items():
                cell.source = re.sub(pattern, replacement, cell.source)
    work = tmp_path / "work"
    work.mkdir()
    notebooks.execute(notebook, work, notebooks.kernel_environment(tmp_path))
    assert notebooks.kinds(notebook) == shown
