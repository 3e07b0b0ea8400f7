import math
from dataclasses import dataclass, field

import pytest

from nlp_rnn.data import Batching, Corpus, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import _RANGES, check_settings
from nlp_rnn.tasks.decoding import Decoding
from nlp_rnn.tasks.optimization import Optimization


@pytest.mark.parametrize("name", _RANGES)
def test_the_ends_of_each_range_are_allowed_and_nothing_beyond(name):
    low, high = _RANGES[name]
    assert low <= high
    check_settings({name: low})
    check_settings({name: high})
    step = 1 if isinstance(low, int) and isinstance(high, int) and high > 1 else 1e-3 * max(abs(low), 1e-9)
    for wrong in (low - step, high + step * max(1, high), math.nan, math.inf, -math.inf, -(10**400), 10**400):
        with pytest.raises(UsageError, match=f"^{name} must be between .* and .*, not "):
            check_settings({name: wrong})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_dim": 0}, r"^hidden_dim must be between 1 and 65536, not 0$"),
        ({"dropout": 1.0}, r"^dropout must be between 0 and 0.99, not 1.0$"),
        ({"anything": math.nan}, r"^anything must be a finite number, not nan$"),
        ({"anything": math.inf}, r"^anything must be a finite number, not inf$"),
        ({"model": {"init_args": {"lr": -1.0}}}, r"^model\.lr must be"),
        ({"callbacks": [{"init_args": {"patience": -1}}]}, r"^callbacks\.patience must be"),
        ({"devices": [0, -7]}, r"^devices must be .*, not -7$"),
        ({"batching": Batching(size=0)}, r"^batching\.size must be"),
        ({"corpus": Corpus(seed=-1)}, r"^corpus\.seed must be"),
        ({"corpus": Corpus(validation_fraction=1)}, r"^corpus\.validation_fraction must be"),
        ({"vocabulary": VocabularySettings(max_size=4)}, r"^vocabulary\.max_size must be"),
        ({"vocabulary": VocabularySettings(min_frequency=-1)}, r"^vocabulary\.min_frequency must be"),
        ({"optimization": Optimization(lr=0)}, r"^optimization\.lr must be"),
        ({"decoding": Decoding(beam=0)}, r"^decoding\.beam must be"),
        ({"decoding": Decoding(n_best=0)}, r"^decoding\.n_best must be"),
    ],
)
def test_what_is_wrong_is_named(settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        check_settings(settings)
    assert "\n" not in str(caught.value)


@dataclass
class Nested:
    size: int = 5
    inner: dict = field(default_factory=lambda: {"lr": 0.1})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_tokens": None, "max_examples": None, "name": "x", "cell": "lstm", "on": True, "size": True},
        {"devices": "auto", "max_epochs": -1, "max_steps": -1, "dropout": 0, "anything": -(10**400)},
        {"nested": Nested(), "class": Nested, "betas": (0.9, 0.999), "empty": [], "set": {1}},
        {
            "corpus": Corpus(),
            "batching": Batching(),
            "vocabulary": VocabularySettings(),
            "optimization": Optimization(),
            "decoding": Decoding(),
        },
    ],
    ids=["none", "not numbers", "edges", "nested", "defaults"],
)
def test_what_is_right_passes(settings):
    check_settings(settings)
