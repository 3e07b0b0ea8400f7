import copy
import json

import pytest
import torch

from nlp_rnn import from_pretrained, save_pretrained
from nlp_rnn.cli.main import main
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.averaging import average
from nlp_rnn.tasks.optimization import Optimization


def _changed(task, seed):
    """The same model with other weights."""
    other = copy.deepcopy(task)
    generator = torch.Generator().manual_seed(seed)
    for parameter in other.model.parameters():
        parameter.data += torch.randn(parameter.shape, generator=generator)
    return other.eval()


@pytest.mark.parametrize("name", TASKS)
def test_weights_are_the_mean_and_the_models_stay(name, make_task):
    first = make_task(name).eval()
    members = [first, _changed(first, 1), _changed(first, 2)]
    before = [copy.deepcopy(task.model.state_dict()) for task in members]
    averaged = average(members)
    for key, value in averaged.model.state_dict().items():
        mean = sum(state[key].double() for state in before) / 3
        assert torch.allclose(value.double(), mean, rtol=0, atol=1e-6), key
        assert value.dtype == before[0][key].dtype
    for task, state in zip(members, before, strict=True):
        assert all(torch.equal(value, state[key]) for key, value in task.model.state_dict().items())
    assert averaged.settings == first.settings
    assert not averaged.training


def test_the_mean_of_a_model_with_itself_is_the_model(make_task, one_batch):
    task = make_task("translation", attention="luong", num_layers=2).eval()
    with torch.no_grad():
        assert average([task, task, task]).answer(one_batch(task)) == task.answer(one_batch(task))


def test_tied_weights_stay_tied(make_task):
    task = make_task("language_modeling", tie_weights=True, embedding_dim=12)
    averaged = average([task, _changed(task, 1)])
    assert averaged.model.output[0] is averaged.model.embedding.weight


def test_what_was_fitted_is_not_kept(make_task):
    first = make_task("sentiment", temperature=0.5)
    second = _changed(make_task("sentiment", temperature=2.0), 1)
    assert average([first, second]).temperature == 1.0
    sets = make_task("multi_label", thresholds=[0.1, 0.2, 0.3])
    assert average([sets, make_task("multi_label")]).thresholds is None


def test_the_optimization_may_differ(make_task):
    members = [make_task("sentiment", optimization=Optimization(lr=lr)) for lr in (0.1, 0.2)]
    assert average(members).optimization.lr == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_dim": 5}, r"^B does not fit A: hidden_dim is '5' rather than '12'"),
        (
            {"pooling": "mean"},
            r"^B does not fit A: pooling is 'mean' rather than 'last'",
        ),  # of the same shapes
        ({"cell": "gru"}, r"^B does not fit A: cell is 'gru'"),
    ],
)
def test_other_settings_are_refused(make_task, options, message):
    with pytest.raises(UsageError, match=message):
        average([make_task("sentiment"), make_task("sentiment", **options)], ["A", "B"])


def test_other_models_are_refused(make_task, make_processor):
    task = make_task("sentiment")
    with pytest.raises(UsageError, match="at least two"):
        average([task])
    with pytest.raises(UsageError, match=r"^B does not fit A: is a Tagging"):
        average([task, make_task("tagging")], ["A", "B"])
    other = copy.deepcopy(task)
    other.processor = make_processor("sentiment", ("a book",) * 3)
    with pytest.raises(UsageError, match=r"^B does not fit A: .*vocabulary"):
        average([task, other], ["A", "B"])
    small = copy.deepcopy(task)
    quantize(small.model)
    with pytest.raises(UsageError, match=r"^B: has int8 weights"):
        average([task, small], ["A", "B"])


def test_whole_numbers_have_no_mean(make_task):
    members = [make_task("sentiment") for _ in range(2)]
    for number, task in enumerate(members):
        task.model.register_buffer("count", torch.tensor(number))
    with pytest.raises(UsageError, match="the tensor count is of whole numbers, which differ"):
        average(members)
    members[1].model.count = torch.tensor(0)
    assert int(average(members).model.count) == 0


def test_the_command_line_writes_a_folder(make_task, tmp_path, capsys):
    task = make_task("sentiment").eval()
    folders = [
        str(save_pretrained(one, tmp_path / str(n))) for n, one in enumerate((task, _changed(task, 1)))
    ]
    main(["average", *folders, "--output", str(tmp_path / "mean")])
    assert capsys.readouterr().out == f"{tmp_path / 'mean'}\n"
    weights = from_pretrained(tmp_path / "mean").model.state_dict()
    expected = average([from_pretrained(folder) for folder in folders]).model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())
    card = (tmp_path / "mean" / "README.md").read_text()
    for folder in folders:
        assert f"- Averaged weights of: `{folder}`" in card
    assert json.loads((tmp_path / "mean" / "config.json").read_text())["task"] == "sentiment"
    for arguments, message in {
        (*folders, "--output", str(tmp_path / "mean")): "exists",
        (folders[0], "--output", str(tmp_path / "new")): "at least two",
        (folders[0], str(tmp_path / "none"), "--output", str(tmp_path / "new")): "no such model folder",
    }.items():
        with pytest.raises(SystemExit) as stop:
            main(["average", *arguments])
        error = capsys.readouterr().err
        assert (stop.value.code, error.count("\n")) == (2, 1)
        assert message in error
    assert not (tmp_path / "new").exists()
