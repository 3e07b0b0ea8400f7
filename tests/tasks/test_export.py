"""Every task's model folder as an ONNX folder: the scores of a real batch are those of torch."""

import numpy as np
import onnxruntime
import pytest
import torch

from nlp_rnn.export.onnx.checking import make_cases
from nlp_rnn.export.onnx.registry import build
from nlp_rnn.export.onnx.writing import export
from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.pretrained import save_pretrained


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("int8", [False, True])
def test_every_task_is_exported(name, int8, make_task, tmp_path):
    folder = save_pretrained(make_task(name), tmp_path / "model")
    *lines, out = export(folder, tmp_path / "out", int8=int8)
    assert out == str(tmp_path / "out")
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files >= {path.name for path in folder.iterdir()} - {"model.safetensors"}
    graphs = {file for file in files if file.endswith(".onnx")}
    assert {line.partition(":")[0].partition(" ")[0] for line in lines} == graphs
    for graph in graphs:
        onnxruntime.InferenceSession(tmp_path / "out" / graph)


@pytest.mark.parametrize("name", TASKS)
def test_real_inputs_are_among_those_compared(name, make_task):
    task = make_task(name).eval()
    for part in build(task.model):
        random, all_cases = make_cases(part), make_cases(part, task)
        assert len(all_cases) > len(random)
        assert part.method not in vars(part.owner)  # it is the module's own again


@torch.no_grad()
def test_translations_are_the_same_step_by_step(make_task, one_batch, tmp_path):
    task = make_task("translation", attention="bahdanau").eval()
    batch = one_batch(task)
    export(save_pretrained(task, tmp_path / "model"), tmp_path / "out")
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / "out" / file)
        for file in ("encoder.onnx", "decoder_step.onnx")
    )
    names = [output.name for output in encoder.get_outputs()]
    feeds = {"ids": batch.source.numpy(), "lengths": batch.lengths.numpy()}
    state = dict(zip(names, encoder.run(names, feeds), strict=True))
    expected = task.model(batch.source, batch.target, batch.lengths).numpy()
    results = [output.name for output in decoder.get_outputs()]
    for step, tokens in enumerate(batch.target.numpy()):
        found = dict(zip(results, decoder.run(results, {"token": tokens, **state}), strict=True))
        np.testing.assert_allclose(found["logits"], expected[step], atol=1e-5)
        state |= {name.removeprefix("next_"): found[name] for name in results if name.startswith("next_")}


@torch.no_grad()
def test_a_language_model_goes_on_where_it_stopped(make_task, one_batch, tmp_path):
    task = make_task("language_modeling", num_layers=2).eval()
    ids = one_batch(task).tokens.numpy()
    export(save_pretrained(task, tmp_path / "model"), tmp_path / "out")
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    state = {f"state_{n}": np.zeros((2, ids.shape[1], 12), np.float32) for n in range(2)}
    found = []
    for part in (ids[:3], ids[3:4], ids[4:]):
        lengths = np.full(ids.shape[1], len(part))
        logits, *after = session.run(None, {"ids": part, "lengths": lengths, **state})
        state = dict(zip(state, after, strict=True))
        found.append(logits)
    expected = task.model(torch.from_numpy(ids))[0].numpy()
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)
