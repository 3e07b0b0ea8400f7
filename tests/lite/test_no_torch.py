"""What answers without torch imports neither torch nor the rest of the package."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nlp_rnn
from nlp_rnn.inference.prediction import predict

ROOT = Path(__file__).parents[2]
PREDICT = """
import sys
from nlp_rnn.lite.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
    print(*sorted(name for name in sys.modules if name.startswith("nlp_rnn.")), file=sys.stderr)
"""
HEAVY = {
    "torch",
    "pyarrow",
    "datasets",
    "safetensors",
    "pytorch_lightning",
    "pandas",
    "yaml",
    "huggingface_hub",
    "tokenizers",
}


@pytest.mark.parametrize("name", ["sentiment", "tagging", "translation", "forecasting"])
def test_a_prediction_imports_little(make_folder, same_lines, tmp_path, name):
    folder = make_folder(name)
    lines = tmp_path / "in.txt"
    lines.write_text(
        "[[1, 2], [3, 4]]\n[1, 2]\n" if name == "forecasting" else "the film is good\n\na b <br />\n"
    )
    command = [sys.executable, "-c", PREDICT, "predict", str(folder), str(lines)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    *_, modules, own = found.stderr.splitlines()
    assert not HEAVY & set(modules.split())
    assert "asyncio" not in modules.split()
    assert all(module.startswith("nlp_rnn.lite") for module in own.split())
    predict(folder, str(lines), str(tmp_path / "out.txt"))
    same_lines(found.stdout, (tmp_path / "out.txt").read_text())


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["serve", "--help"], ["predict"]])
def test_options_are_read_before_what_computes_is_imported(arguments):
    """So that it takes the numbers of threads that they set, and that help is there at once."""
    found = subprocess.run([sys.executable, "-c", PREDICT, *arguments], capture_output=True, text=True)
    *_, modules, _ = found.stderr.splitlines()
    assert not {"numpy", "asyncio"} & set(modules.split())
    assert found.returncode == (0 if "--help" in arguments else 2)


def test_the_room_itself_imports_nothing():
    program = "import nlp_rnn.lite, sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "tokenizers"} & set(found.stdout.split())


def test_the_wheel_has_version_requirements_and_license_of_the_package():
    with (ROOT / "lite/pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project["version"] == nlp_rnn.__version__
    with (ROOT / "pyproject.toml").open("rb") as file:
        whole = tomllib.load(file)["project"]
    assert set(project["dependencies"]) <= set(whole["dependencies"])
    assert project["requires-python"] == whole["requires-python"]
    assert (ROOT / "lite/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_json_lines_are_the_same(make_folder, tmp_path):
    folder = make_folder("sentiment")
    lines = tmp_path / "in.txt"
    lines.write_text("the film is good\n\nunseen\n")
    predict(folder, str(lines), str(tmp_path / "out.json"), as_json=True)
    command = [sys.executable, "-m", "nlp_rnn.lite", "predict", str(folder), str(lines), "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    ours, theirs = (
        list(map(json.loads, text.splitlines()))
        for text in (found.stdout, (tmp_path / "out.json").read_text())
    )
    assert [answer["label"] for answer in ours] == [answer["label"] for answer in theirs]
    assert [answer["score"] for answer in ours] == [
        pytest.approx(answer["score"], abs=1e-5) for answer in theirs
    ]
