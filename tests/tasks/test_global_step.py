"""One step over several batches has the gradient of one large batch."""

import pytest
import torch

from nlp_rnn.data.batching import IGNORED, Batch, Batching
from nlp_rnn.tasks import TASKS, Optimization, global_step
from nlp_rnn.tasks.global_step import GlobalStep, Workload, connect
from nlp_rnn.tasks.translation.data import TranslationBatch

SGD = Optimization(optimizer="sgd", lr=0.1)


class TwoDevices:
    """Stands in for `torch.distributed`: another device, whose numbers are given, joins each reduction."""

    def __init__(self, *others):
        self.others = list(others)

    def is_available(self):
        return True

    is_initialized = is_available

    def get_world_size(self):
        return 2

    def all_reduce(self, tensor):
        tensor += torch.tensor(self.others.pop(0))

    def all_gather_object(self, objects, own):
        objects[:] = [own, self.others.pop(0)]


def test_each_batch_counts_by_its_targets():
    model = torch.nn.ParameterList([torch.ones(3), torch.ones(2)])
    weight, unused = model
    targets = [torch.tensor([[1.0, 2.0, 3.0]]), torch.zeros(0, 3), torch.rand(5, 3)]
    step = GlobalStep()
    for rows in targets:
        mean = (rows * weight).sum() / max(1, len(rows))
        factor, running = step.add(mean, torch.tensor(len(rows)))
        (connect(mean * factor, model) / len(targets)).backward()  # as Lightning divides it
    step.finish(model, len(targets))
    expected = torch.cat(targets).mean(0)
    torch.testing.assert_close(weight.grad, expected)
    torch.testing.assert_close(running, expected.sum())
    assert unused.grad.tolist() == [0, 0]


def test_each_device_counts_by_its_targets(monkeypatch):
    """Of the first batch this device has 3 of 4 targets, of the second 1 of 6."""
    monkeypatch.setattr(global_step, "dist", TwoDevices([5.0, 1.0], [10.0, 5.0]))
    step = GlobalStep()
    factor, running = step.add(torch.tensor(2.0), torch.tensor(3))
    assert factor.item() == pytest.approx(2 * 3 / 4)  # devices average: times their number
    assert running.item() == pytest.approx((2 * 3 + 5) / 4)
    factor, running = step.add(torch.tensor(4.0), torch.tensor(1))
    assert factor.item() == pytest.approx(2 * 1 / 4)
    assert running.item() == pytest.approx((2 * 3 + 5 + 4 + 10) / 10)
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    step.finish(torch.nn.ParameterList([weight]), 2)
    assert weight.grad.item() == pytest.approx(2 * 4 / 10)


def test_a_step_goes_on_from_its_state():
    """A run is interrupted between the two batches of a step, and after a step was left out."""
    counts = [torch.tensor(3), torch.tensor(5)]
    whole, first, again = GlobalStep(), GlobalStep(), GlobalStep()
    whole.add(torch.tensor(2.0), counts[0])
    first.add(torch.tensor(2.0), counts[0])
    again.load(first.state(), torch.device("cpu"))
    assert again.add(torch.tensor(1.0), counts[1]) == whole.add(torch.tensor(1.0), counts[1])
    again.load(first.state(), torch.device("meta"))
    assert {value.device.type for value in again.state()} == {"meta"}
    again.load(first.state(), torch.device("cpu"))
    again.skip()
    assert again.add(torch.tensor(1.0), counts[1]) == (1, 1)


def test_one_batch_keeps_its_loss_bit_for_bit():
    for count in (1, 3, 7, 100_003):
        factor, _ = GlobalStep().add(torch.tensor(0.1), torch.tensor(count))
        assert factor == 1


@pytest.mark.parametrize("name", TASKS)
def test_accumulated_batches_train_as_one(name, make_task, task_rows, trainer, tmp_path):
    weights = []
    for size, accumulated in ((6, 1), (2, 3)):
        torch.manual_seed(0)
        task = make_task(name, optimization=SGD)
        loader = task.processor.loader(task_rows(task), Batching(size), True, accumulated=accumulated)
        run = trainer(tmp_path, max_epochs=3, accumulate_grad_batches=accumulated)
        run.fit(task, loader)
        weights.append(torch.cat([parameter.flatten() for parameter in task.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in TASKS if name != "multi_label"])  # each row has targets
def test_without_targets_loss_and_gradients_are_zero(name, make_task, one_batch, trainer, tmp_path):
    """A batch in which nothing is scored, and one without rows, as the last one of a device may be."""
    task = make_task(name, optimization=SGD)
    before = [parameter.clone() for parameter in task.parameters()]
    nothing = one_batch(task)
    if name in ("translation", "language_modeling", "captioning"):  # all tokens of a text are scored
        nothing.labels = nothing.labels[:0]
    elif nothing.labels is not None:
        nothing.labels = torch.full_like(nothing.labels, IGNORED)
    else:
        nothing = nothing.to("cpu")
        nothing.rows, nothing.targets = [], nothing.targets[:0]
        nothing.vectors, nothing.lengths = nothing.vectors[:, :0], nothing.lengths[:0]
    assert task.loss(nothing).item() == 0
    batches = [nothing, Batch([], torch.zeros(0, dtype=torch.int64))]
    run = trainer(tmp_path, max_epochs=1)
    run.fit(task, torch.utils.data.DataLoader(batches, batch_size=None))
    assert run.callback_metrics["train/loss_step"].item() == 0
    assert all(p.grad is None or p.grad.count_nonzero() == 0 for p in task.parameters())
    assert all(map(torch.equal, task.parameters(), before))


def test_work_is_counted():
    work = Workload()
    for lengths in ([3, 1], [2]):
        work.add(Batch([0], torch.tensor(lengths)))
    assert work.results() == {"padding": pytest.approx(1 - 6 / 8)}
    assert work.results() == {}


def test_work_of_each_field_and_of_two_devices_is_counted(monkeypatch):
    work = Workload()
    for source, target in (([3, 1], [5, 5]), ([4], [2])):
        work.add(
            TranslationBatch([0], torch.tensor(source), torch.zeros(0), target_lengths=torch.tensor(target))
        )  # 16 and 6 positions
    again = Workload()
    again.load(work.state())
    # The other device has 10 and 8 positions, none of them of targets.
    other = ({"lengths": [9, 18]}, [10, 8])
    monkeypatch.setattr(global_step, "dist", TwoDevices(other))
    assert again.results() == {
        "padding": pytest.approx(1 - (8 + 9) / (10 + 18)),
        "padding_target": 0,
        "imbalance": pytest.approx(1 - (16 + 6 + 10 + 8) / (2 * (16 + 8))),
    }
