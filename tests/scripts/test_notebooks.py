"""scripts/notebooks.py executes notebooks, cleans them, and says what must not be committed."""

import nbformat
import notebooks
import pytest
from nbformat import v4


def write(path, *cells, title="# A title"):
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(title), *map(v4.new_code_cell, cells)])
    nbformat.write(notebook, path)
    return path


@pytest.mark.slow
def test_execute_and_clean(tmp_path, capsys):
    path = write(
        tmp_path / "one.ipynb",
        "import nlp_rnn, os\nprint(nlp_rnn.__name__, flush=True)\nprint(os.environ['OMP_NUM_THREADS'])",
        "open('file.txt', 'w').write('text')",
    )
    assert notebooks.main([str(path)]) == 0
    assert capsys.readouterr().out.startswith("one.ipynb: ")
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata == notebooks.METADATA
    assert [cell.metadata for cell in notebook.cells] == [{}, {}, {}]
    assert [output.text for output in notebook.cells[1].outputs] == ["nlp_rnn\n1\n"]
    assert notebooks.kinds(notebook) == [[("stream", "stdout")], [("execute_result", "", "text/plain")]]
    assert [file.name for file in tmp_path.iterdir()] == ["one.ipynb"]  # the kernel works elsewhere


def executed(path, outputs=(), source="1", count=1):
    notebook = nbformat.read(write(path, source), as_version=4)
    notebooks.clean(notebook)
    notebook.cells[1].execution_count = count
    notebook.cells[1].outputs = [nbformat.from_dict(output) for output in outputs]
    nbformat.write(notebook, path)
    return path


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"outputs": [stream("fine, in data/train.csv and on 1/2\n")]}, None),
        ({"count": 2}, "was not executed from its start to its end"),
        ({"outputs": [stream("Epoch 1", "stderr")]}, "cell 2 wrote to standard error"),
        ({"outputs": [stream("saved in /home/me/model\n")]}, "cell 2 names a place"),
        ({"source": "open('/tmp/file')"}, "cell 2 names a place"),
        ({"outputs": [stream("<object at 0x7f0f9e0ad510>\n")]}, "cell 2 shows the address"),
        ({"outputs": [stream("x" * 300_000)]}, "is larger than 250 kB"),
        (
            {"outputs": [{"output_type": "error", "ename": "KeyError", "evalue": "", "traceback": []}]},
            "cell 2 failed with KeyError",
        ),
    ],
)
def test_problems(tmp_path, capsys, change, problem):
    path = executed(tmp_path / "one.ipynb", **change)
    found = notebooks.problems(path)
    assert [line[: len(problem)] for line in found] == [problem] if problem else found == []
    assert notebooks.main(["--check", str(path)]) == bool(problem)
    assert capsys.readouterr().err.startswith(f"one.ipynb {problem}" if problem else "")


def test_editors_metadata_and_a_missing_title_are_problems(tmp_path):
    path = executed(tmp_path / "one.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["widgets"] = {}
    notebook.cells[1].metadata["collapsed"] = True
    notebook.cells[0].source = "no title"
    nbformat.write(notebook, path)
    assert notebooks.problems(path) == [
        "has other metadata than the kernel and its language",
        "does not begin with a title, `# ...`",
        "cell 2 has metadata",
    ]
    notebooks.clean(notebook)
    nbformat.write(notebook, path)
    assert notebooks.problems(path) == ["does not begin with a title, `# ...`"]
