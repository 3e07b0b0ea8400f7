"""Each notebook of docs/notebooks/ is as `python scripts/notebooks.py` writes it, and runs from its start."""

import nbformat
import notebooks
import pytest

NOTEBOOKS = sorted(notebooks.FOLDER.glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_is_fit_to_be_read(path):
    assert notebooks.problems(path) == []


def test_every_notebook_is_in_the_table_and_in_the_menu():
    index = (notebooks.FOLDER / "index.md").read_text(encoding="utf-8")
    menu = (notebooks.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert f"]({path.name})" in index
        assert f"notebooks/{path.name}" in menu


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    shown = notebooks.kinds(notebook)
    work = tmp_path / "work"
    work.mkdir()
    notebooks.execute(notebook, work, notebooks.kernel_environment(tmp_path))
    assert notebooks.kinds(notebook) == shown
