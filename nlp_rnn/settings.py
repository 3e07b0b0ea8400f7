"""Which values settings may take: one table, read before any data is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from nlp_rnn.errors import UsageError

# name -> (least, most); the names mean the same wherever they stand.
_RANGES: dict[str, tuple[float, float]] = {
    # models
    "embedding_dim": (1, 65_536),
    "hidden_dim": (1, 65_536),
    "num_layers": (1, 64),
    "dropout": (0, 0.99),
    "character_embedding_dim": (1, 65_536),
    "character_hidden_dim": (1, 65_536),
    "weight_dropout": (0, 0.99),
    # training
    "teacher_forcing": (0, 1),
    "label_smoothing": (0, 0.99),
    "word_dropout": (0, 0.99),
    "noise": (0, 100),
    "lr": (1e-12, 100),
    "weight_decay": (0, 100),
    "warmup": (0, 1),
    "memory": (0, 1_000_000_000),
    "patience": (0, 1_000_000),
    "factor": (1e-6, 0.999),
    # decoding
    "beam": (1, 1_000),
    "length_penalty": (0, 10),
    "n_best": (1, 1_000),
    "max_output": (1, 100_000),
    "temperature": (1e-3, 1_000),
    "top_k": (1, 10**8),
    "top_p": (1e-6, 1),
    # data
    "size": (1, 1_000_000),
    "max_tokens": (1, 1_000_000_000),
    "num_workers": (0, 256),
    "length": (1, 10_000_000),
    "sequences": (1, 10**8),
    "horizon": (1, 100_000),
    "max_length": (1, 10_000_000),
    "window": (1, 10_000_000),
    "max_word_length": (1, 10_000),
    "max_examples": (1, 10**12),
    "validation_fraction": (1e-6, 0.999),
    "min_frequency": (0, 10**9),
    "max_size": (5, 10**8),
    "means": (-1e300, 1e300),
    "scale": (1e-300, 1e300),
    "seed": (0, 2**32 - 1),
    "seed_everything": (0, 2**32 - 1),
    # trainer
    "max_epochs": (-1, 10**9),
    "max_steps": (-1, 10**12),
    "overfit_batches": (0, 0),  # Lightning would take out the grouping by length
    "gradient_clip_val": (0, 1e9),
    "accumulate_grad_batches": (1, 10**9),
    "devices": (-1, 100_000),
    "num_nodes": (1, 100_000),
}


def check_settings(settings: Mapping[str, Any], where: str = "") -> None:
    """Refuse numbers that are not finite or out of range, here and in what is nested.

    Args:
        settings: values by name: numbers, mappings, dataclasses, lists of these, and others, passed over.
        where: what stands before each name in messages.

    Raises:
        UsageError: names the setting, the value and the range.
    """
    for name, value in settings.items():
        if is_dataclass(value) and not isinstance(value, type):
            value = vars(value)
        if isinstance(value, Mapping):
            check_settings(value, where if name == "init_args" else f"{where}{name}.")
        elif isinstance(value, (list, tuple)):
            for item in value:
                check_settings({name: item}, where)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = _RANGES.get(name, (-math.inf, math.inf))
            # A whole number may be too large to be a float.
            if not low <= value <= high or (isinstance(value, float) and not math.isfinite(value)):
                allowed = f"between {low:g} and {high:g}" if math.isfinite(low) else "a finite number"
                raise UsageError(f"{where}{name} must be {allowed}, not {value}")
