"""The space of a sweep."""

from pathlib import Path

import optuna
import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.training.sweep.space import Setting, read_space

SPACE = """
model.optimization.lr: {float: [1e-4, 1e-1], log: true}
model.dropout: {float: [0, 0.5], step: 0.25}
model.hidden_dim: {int: [16, 64]}
model.num_layers: {int: [2, 4], step: 2}
model.cell: {choices: [gru, lstm, null]}
"""


def test_a_space_has_numbers_and_choices_and_a_trial_has_one_of_each(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    space = read_space(tmp_path / "space.yaml")
    assert space[0] == Setting("model.optimization.lr", "float", (1e-4, 1e-1), log=True)
    assert space[3] == Setting("model.num_layers", "int", (2, 4), step=2)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = []
    for _ in range(30):
        trial = study.ask()
        values = [setting.suggest(trial) for setting in space]
        assert values == [setting.suggest(trial) for setting in space]  # as a resumed trial asks
        drawn.append(values)
    rates, dropouts, sizes, layers, cells = map(set, zip(*drawn, strict=True))
    assert 1e-4 <= min(rates) < 1e-3
    assert 1e-2 < max(rates) <= 1e-1
    assert dropouts == {0.0, 0.25, 0.5}
    assert sizes <= set(range(16, 65))
    assert layers == {2, 4}
    assert cells == {"gru", "lstm", None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "give a mapping of settings"),
        ("- a", "give a mapping of settings"),
        ("a: [", "cannot be read"),
        ("a: 3", "a: give one of {float"),
        ("a: {float: 3}", "a: give one of {float"),
        ("a: {float: [1, 2], int: [1, 2]}", "a: give one of {float"),
        ("a: {float: [1, 2], lgo: true}", "a: give one of {float"),
        ("a: {float: [1]}", "a: give [LOW, HIGH]"),
        ("a: {float: [2, 1]}", "a: give [LOW, HIGH], with LOW at most HIGH, not [2, 1]"),
        ("a: {float: [x, 1]}", "a: ['x', 1] are not numbers"),
        ("a: {float: [1, .inf]}", "are not numbers"),
        ("a: {int: [1, 2.5]}", "a: [1, 2.5] are not whole numbers"),
        ("a: {float: [0, 1], log: true}", "with it LOW is positive"),
        ("a: {float: [1, 2], log: true, step: 1}", "there is no step"),
        ("a: {int: [1, 2], step: 0}", "step must be positive"),
        ("a: {choices: []}", "a: choices are a list of plain values"),
        ("a: {choices: [[1]]}", "a: choices are a list of plain values"),
        ("a: {choices: [1], log: true}", "without log or step"),
    ],
)
def test_what_is_no_space_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(UsageError) as refusal:
        read_space(tmp_path / "space.yaml")
    assert message in str(refusal.value)
    assert str(refusal.value).startswith(f"--space {tmp_path / 'space.yaml'}: ")
