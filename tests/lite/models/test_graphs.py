"""The engine onnx answers as torch does, on every task, from the folder that export writes."""

import json
import os
import shutil

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.lite.loading import load
from nlp_rnn.lite.pipelines import pipeline as lite_pipeline
from nlp_rnn.storage.reading import read_model

pytest.importorskip("onnxruntime")
writing = pytest.importorskip("nlp_rnn.export.onnx.writing")


@pytest.fixture(scope="module")
def exported(make_folder, tmp_path_factory):
    """A model folder of a task, and the folder that export writes of it."""

    def export(name, **options):
        folder = make_folder(name, **options)
        output = tmp_path_factory.mktemp("graphs") / name
        writing.export(folder, output)
        return folder, output

    return export


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sentiment", {"pooling": "max", "num_layers": 2}),
        ("multi_label", {"cell": "gru"}),
        ("text_pairs", {"cell": "minlstm"}),
        ("tagging", {"crf": True, "processor": {"columns": ("ner", "upos")}}),
        ("tagging", {"processor": {"characters": False}}),
        ("tagging", {"processor": {"affixes": [-2, 3]}}),
        ("translation", {"num_layers": 2}),
        ("translation", {"attention": "luong", "copy_unknown": True}),
        ("translation", {"attention": "bahdanau", "cell": "gru"}),
        ("translation", {"context": True, "cell": "rnn"}),
        ("translation", {"context": True, "readout": "direct"}),
        ("translation", {"bidirectional": True, "num_layers": 2, "processor": {"reverse_target": True}}),
        ("translation", {"bidirectional": True, "attention": "luong", "copy_unknown": True}),
        ("translation", {"bidirectional": True, "context": True, "cell": "gru"}),
        ("language_modeling", {"num_layers": 2, "tie_weights": True}),
        ("language_modeling", {"bidirectional": True}),
        ("captioning", {}),
        ("forecasting", {"cell": "mingru"}),
        ("series_tagging", {"bidirectional": True}),
    ],
    ids=str,
)
def test_every_task(exported, difference, inputs_of, name, options):
    folder, output = exported(name, **options)
    ours, theirs = pipeline(name, output, backend="onnx"), pipeline(name, folder)
    inputs = inputs_of(name)
    assert difference(ours(inputs), theirs(inputs)) < 2e-5
    for value in inputs:  # a batch of one, which may be empty
        assert difference(ours([value]), theirs([value])) < 2e-5


def test_another_graph_of_the_same_shape_is_refused(exported, tmp_path):
    folders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        folders.append(exported("translation", num_layers=1 + seed)[1])
    folder = shutil.copytree(folders[0], tmp_path / "model")
    assert pipeline("translation", folder, backend="onnx")("a")
    shutil.copy(folders[1] / "encoder.onnx", folder)
    with pytest.raises(UsageError, match=r"encoder\.onnx: not the graph that was exported with this folder"):
        pipeline("translation", folder, backend="onnx")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"graphs": {"../x.onnx": "0"}}))
    with pytest.raises(UsageError, match="its graphs are none"):
        pipeline("translation", folder, backend="onnx")


def test_beams(exported, difference, inputs_of):
    folder, output = exported("translation", attention="luong")
    options = {"beam": 4, "n_best": 2}
    ours, theirs = lite_pipeline("translation", output, **options), pipeline("translation", folder, **options)
    assert difference(ours(inputs_of("translation")), theirs(inputs_of("translation"))) < 2e-5


def test_continuations_and_streams(exported, difference):
    folder, output = exported("language_modeling")
    ours, theirs = lite_pipeline("language_modeling", output), pipeline("language_modeling", folder)
    assert list(ours.generate("the film", 8)) == list(theirs.generate("the film", 8))
    streams = ours.stream(), theirs.stream()
    for piece in ("the", "film is"):
        assert difference(*(stream(piece) for stream in streams)) < 2e-5


def test_a_classifier_has_no_stream(exported):
    _, output = exported("sentiment", bidirectional=False)
    with pytest.raises(UsageError, match="whole inputs only"):
        lite_pipeline("sentiment", output).stream()


def without_checksums(folder, copy):
    """A copy of an exported folder as earlier exports wrote it."""
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    del config["graphs"]
    (copy / "config.json").write_text(json.dumps(config, indent=2))
    return copy


def test_refusals(exported, tmp_path):
    folder, output = exported("sentiment")
    with pytest.raises(UsageError, match="holds no ONNX graph"):
        load(folder, "onnx")
    with pytest.raises(UsageError, match="take the backend onnx, or the folder it was made of"):
        read_model(output)
    with pytest.raises(UsageError, match="take the engine onnx"):
        load(output, "numpy")
    with pytest.raises(UsageError, match="engine must be one of numpy, onnx"):
        load(output, "torch")
    copy = without_checksums(output, tmp_path / "copy")
    (copy / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(UsageError, match=r"model\.onnx: not a graph that onnxruntime can run"):
        load(copy)
    (copy / "model.onnx").unlink()
    (copy / "model.onnx").symlink_to(output / "model.onnx")
    with pytest.raises(UsageError, match="points outside the model folder"):
        load(copy)
    with pytest.raises(UsageError, match="give a folder"):
        pipeline("sentiment", output, backend="onnx", precision="bf16")


def test_a_graph_of_another_model(exported, tmp_path):
    _, sentiment = exported("sentiment")
    _, pairs = exported("text_pairs")
    copy = without_checksums(sentiment, tmp_path / "copy")
    shutil.copyfile(pairs / "model.onnx", copy / "model.onnx")
    with pytest.raises(UsageError, match="not a graph of this model"):
        load(copy)
    text = (copy / "config.json").read_text().replace('"temperature": 1.0', '"temperature": 2.0')
    (copy / "config.json").write_text(text)
    shutil.copyfile(sentiment / "model.onnx", copy / "model.onnx")
    with pytest.raises(UsageError, match="the settings were altered"):
        load(copy)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (None, 1),
        ("1", 1),
        ("2", min(2, os.cpu_count())),
        ("99999", os.cpu_count()),
        ("0", 1),
        ("2,1", 1),
        ("x", 1),
    ],
)
def test_one_thread_unless_more_are_asked_for(exported, monkeypatch, stated, expected):
    """With a thread per core, most of the processor's time would be spent waiting for the next step."""
    import onnxruntime

    _, output = exported("forecasting")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if stated is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", stated)
    made, session = [], onnxruntime.InferenceSession

    def record(data, options, providers):
        made.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return session(data, options, providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    load(output, engine="onnx")
    assert made == [(expected, expected)]


def test_a_graph_of_a_smaller_vocabulary_is_refused_in_one_line(exported, tmp_path, capfd):
    import onnx
    from onnx import numpy_helper

    _, output = exported("sentiment")
    copy = without_checksums(output, tmp_path / "copy")
    graph = onnx.load(copy / "model.onnx")
    table = next(node for node in graph.graph.node if node.op_type == "Gather").input[0]
    (stored,) = (tensor for tensor in graph.graph.initializer if tensor.name == table)
    stored.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stored)[:1], table))
    onnx.save(graph, copy / "model.onnx")
    with pytest.raises(UsageError, match="cannot be run"):
        lite_pipeline("sentiment", copy)("the film is good")
    assert capfd.readouterr().err == ""
