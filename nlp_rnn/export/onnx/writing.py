"""Writing the exported folder, after each graph was compared with torch."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import onnx

from nlp_rnn.export.onnx.checking import Difference, check, make_cases, measure
from nlp_rnn.export.onnx.quantizing import float_operators, quantize
from nlp_rnn.export.onnx.registry import build
from nlp_rnn.files import cannot_write
from nlp_rnn.lite.folders.folder import CONFIG, WEIGHTS, own_files, read_json, require_inside
from nlp_rnn.lite.folders.graph_files import graph_checksums
from nlp_rnn.storage.folders import atomic_folder
from nlp_rnn.tasks.pretrained import from_pretrained


def export(source: Path, output: Path, int8: bool = False) -> list[str]:
    """Write a model folder with ONNX graphs in place of its weights.

    Args:
        source: a model folder.
        output: the folder to write; it does not exist yet.
        int8: whether to write int8 weights where ONNX Runtime has int8 operators.

    Returns:
        Per file one line with the largest difference from torch; the folder.

    Raises:
        UsageError: the model cannot be loaded or has no graph, or the output cannot be written.
        RunError: a graph differs from torch by more than rounding. Nothing is written then.
    """
    task = from_pretrained(source)
    lines: list[str] = []
    graphs: dict[str, onnx.ModelProto] = {}
    for part in build(task.model):
        cases = make_cases(part, task)
        difference = check(part, cases)
        graphs[part.file] = part.graph
        lines.append(f"{part.file}: {_described(difference)}")
        if int8:
            graphs[part.file] = quantize(part.graph)
            rounded = measure(graphs[part.file], cases)
            lines.append(f"{part.file} in int8: {_described(rounded)}{_share(rounded)}")
            lines += [
                f"{part.file}: the weights of {operator} stay float32, as onnxruntime has no int8 {operator}"
                for operator in float_operators(part.graph)
            ]
    try:
        _write(source, output, graphs)
    except OSError as error:
        raise cannot_write(output, error) from error
    return [*lines, str(output)]


def _described(difference: Difference) -> str:
    return (
        f"largest difference from torch {difference.absolute:.1e}, {difference.relative:.1e} of the largest "
        f"value, in {difference.cases} calls"
    )


def _share(difference: Difference) -> str:
    """How often the answer is the same, of outputs that decide about one."""
    return "" if difference.equal is None else f"; the same highest logit in {difference.equal:.2%}"


def _write(source: Path, output: Path, graphs: dict[str, onnx.ModelProto]) -> None:
    target = Path(os.path.realpath(output))
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target) as new:
        # The model's own files: others may be graphs of another model, or links to anything.
        for name in own_files(read_json(source / CONFIG, source)):
            if name != WEIGHTS and require_inside(source / name, source).is_file():
                shutil.copyfile(source / name, new / name)
        written = {name: graph.SerializeToString() for name, graph in graphs.items()}
        for name, data in written.items():
            (new / name).write_bytes(data)
        config = read_json(new / CONFIG, new) | {"graphs": graph_checksums(written)}
        text = json.dumps(config, indent=2, ensure_ascii=False)
        (new / CONFIG).write_text(text, encoding="utf-8", newline="\n")
