"""Every task on a stand-in for a device: what Apple's MPS refuses is refused, and the CPU seldom waits."""

from collections import Counter
from contextlib import nullcontext
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from nlp_rnn.models.layers import devices
from nlp_rnn.models.sampling import sample
from nlp_rnn.models.search import beam_search, greedy
from nlp_rnn.storage.stored import checksums
from nlp_rnn.tasks import TASKS

# Of the devices without kernels it is the only one that torch lets Python stand in for.
DEVICE = torch.device("meta")
HOST = torch.device("cpu")
_SIZES = ("_local_scalar_dense", "nonzero", "masked_select")
_COPIES = ("_to_copy", "copy_", "_copy_from")


class OnDevice(torch.Tensor):
    """A tensor whose values are on the CPU but which says, and behaves as if, it were on the device."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_wrapper_subclass(
            cls, values.shape, strides=values.stride(), dtype=values.dtype, device=DEVICE
        )

    def __init__(self, values):
        self.values = values

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return StandIn.run(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents=None):
        return f"OnDevice({self.values})"


class StandIn(TorchDispatchMode):
    """While it is entered, tensors can be moved to the device. It counts how often the CPU waits for it."""

    waits = Counter()
    refused = (torch.float64, torch.complex128)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return StandIn.run(func, args, kwargs or {})

    @classmethod
    def run(cls, func, args, kwargs):
        name = func._schema.name.removeprefix("aten::")
        leaves, spec = tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
        target = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
        if target is not None:
            device = HOST if target.type == "cpu" else DEVICE
        elif name == "copy_":
            device = args[0].device
        else:
            device = DEVICE if there else HOST
        if name not in _COPIES and there and any(t.dim() for t in tensors if not isinstance(t, OnDevice)):
            raise RuntimeError(f"{name}: expected all tensors to be on one device")
        # The CPU must know a number, or how many elements a mask selects.
        masked = name in ("index", "index_put_") and any(tensor.dtype == torch.bool for tensor in there[1:])
        if there and (masked or name in _SIZES or (name in _COPIES and device == HOST)):
            cls.waits[name] += 1
        values = {id(tensor.values): tensor for tensor in there}
        leaves = [
            leaf.values if isinstance(leaf, OnDevice) else HOST if isinstance(leaf, torch.device) else leaf
            for leaf in leaves
        ]
        args, kwargs = tree_unflatten(leaves, spec)
        results = func(*args, **kwargs)
        if device == HOST:
            return results

        def place(result):
            if result.dtype in cls.refused:
                raise TypeError(f"{name}: the device has no {result.dtype}")
            return values[id(result)] if id(result) in values else OnDevice(result)

        return tree_map_only(torch.Tensor, place, results)


class Factories(TorchFunctionMode):
    """Conversions from and to Python's numbers, which torch does without a call that `StandIn` sees."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.tolist:
            return func(args[0].cpu())
        if func is torch.Tensor.new_tensor:
            like, *args = args
            kwargs.setdefault("device", like.device)
            kwargs.setdefault("dtype", like.dtype)
            func = torch.tensor
        if func not in (torch.tensor, torch.as_tensor) or isinstance(args[0], torch.Tensor):
            return func(*args, **kwargs)
        return func(*args, **{**kwargs, "device": HOST}).to(kwargs.get("device", HOST))


class Accelerator(CPUAccelerator):
    """Lightning's view of the device."""

    def setup_device(self, device):
        assert device == DEVICE


@pytest.fixture
def on_device(trainer, tmp_path, monkeypatch):
    """Makes a trainer on the device."""
    StandIn.waits.clear()
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: ["cpu", DEVICE.type])
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())

    def make(**options):
        strategy = SingleDeviceStrategy(DEVICE, accelerator=Accelerator())
        return trainer(tmp_path, accelerator="auto", strategy=strategy, inference_mode=False, **options)

    with StandIn(), Factories():
        yield make


def test_the_stand_in_refuses_what_the_device_refuses(on_device):
    there = torch.ones(3).to(DEVICE)
    assert there.device == DEVICE
    assert (there + 1).sum().item() == 6
    assert StandIn.waits == {"_local_scalar_dense": 1}
    assert there[there > 0].tolist() == [1, 1, 1]
    assert StandIn.waits == {"_local_scalar_dense": 1, "index": 1, "_to_copy": 1}
    for fault in (
        there.double,
        lambda: torch.zeros(2, dtype=torch.float64, device=DEVICE),
        lambda: torch.zeros(2, dtype=torch.float64).to(DEVICE),
        lambda: there * there.new_tensor([1.0, 2.0, 3.0], dtype=torch.float64),
    ):
        with pytest.raises(TypeError, match="has no torch\\.float64"):
            fault()
    with pytest.raises(RuntimeError, match="one device"):
        there + torch.ones(3)


def test_checksums_are_of_the_values_wherever_they_are(on_device):
    config = {"task": "sentiment", "settings": {}}
    weights = {"a": torch.arange(6.0).view(2, 3).t(), "b": torch.ones((), dtype=torch.bfloat16)}
    there = {name: value.to(DEVICE) for name, value in weights.items()}
    assert checksums(config, there) == checksums(config, weights)


@pytest.mark.parametrize(("name", "cell"), [*((name, "lstm") for name in TASKS), ("tagging", "mingru")])
def test_every_task_trains_and_answers_as_on_the_cpu(
    name, cell, on_device, tmp_path, batches, make_task, trainer
):
    results = []
    for make in (partial(trainer, tmp_path), on_device):
        StandIn.waits.clear()
        torch.manual_seed(0)
        task = make_task(name, cell)
        run = make(max_epochs=1)
        run.fit(task, batches(task, size=3), batches(task, size=3))
        logged = {key: float(value) for key, value in run.callback_metrics.items()}
        (answers,) = run.predict(task, batches(task))
        results.append((logged, [task.format_answer(answer) for answer in answers]))
    assert StandIn.waits["_to_copy"] > 0  # results come from the device
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-3, nan_ok=True)
    if name != "forecasting":  # its numbers differ in the last digits
        assert results[0][1] == results[1][1]


class Waits(pl.Callback):
    """Records how often the CPU waits for the device in each training step."""

    def __init__(self):
        self.steps = []

    def on_train_batch_start(self, *_):
        StandIn.waits.clear()

    def on_train_batch_end(self, *_):
        self.steps.append(dict(StandIn.waits))


@pytest.mark.parametrize("name", TASKS)
def test_no_training_step_waits_for_the_device(name, on_device, batches, make_task, monkeypatch):
    monkeypatch.setattr(devices, "_WITH_FLOAT64", {"cpu", DEVICE.type})
    monkeypatch.setattr(StandIn, "refused", ())
    waits = Waits()
    run = on_device(max_epochs=1, callbacks=[waits], accumulate_grad_batches=2, gradient_clip_val=1.0)
    task = make_task(name, dropout=0.3)
    run.fit(task, batches(task, size=2))
    assert waits.steps
    assert not any(waits.steps)


EOS = 3
LIMITS = (3, 9, 5, 9)


def _step(tokens, state):
    """Logits of 6 tokens, which depend on the last token and on a count."""
    (count,) = state
    ids = torch.arange(6, device=tokens.device)
    logits = torch.sin(ids * (tokens.unsqueeze(1) + count[0] + 1.0)) - 2.0 * (ids == EOS)
    return logits, (count + 1,)


@pytest.mark.parametrize(
    "search",
    [greedy, partial(beam_search, width=3), partial(sample, top_k=1), partial(sample, top_p=0.01)],
)
def test_a_decoding_step_waits_for_the_device_once(search, on_device):
    start = torch.arange(4.0).view(1, 4, 1)
    counts = []  # for each run: its steps, and how often the CPU waited
    for longest in (3, 9):
        StandIn.waits.clear()
        limits = [min(limit, longest) for limit in LIMITS]
        steps = []

        def step(tokens, state, steps=steps):
            steps.append(tokens)
            return _step(tokens, state)

        there = search(step, (start.to(DEVICE),), bos_id=1, eos_id=EOS, max_length=limits)
        counts.append((len(steps), sum(StandIn.waits.values())))
        assert there == search(_step, (start,), bos_id=1, eos_id=EOS, max_length=limits)
    (few, waits_of_few), (many, waits_of_many) = counts
    assert many > few
    assert waits_of_many - waits_of_few == many - few
