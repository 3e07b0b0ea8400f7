"""The README.md of a model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nlp_rnn


@dataclass(frozen=True)
class CardFacts:
    """What a model's card says.

    Args:
        task: the name of its task.
        example: an input to ask it about.
        num_parameters: how many there are.
        vocabularies: their sizes in tokens, by name.
        model: how the model prints.
        corpus: what it was trained on, if known.
        command: the command that trained it, if known.
        metrics: split -> metric -> value, as measured.
    """

    task: str
    example: Any
    num_parameters: int
    vocabularies: Mapping[str, int]
    model: str
    corpus: str = ""
    command: str = ""
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def model_card(facts: CardFacts) -> str:
    """Markdown that says what the model is, what it was trained on and how, and how well it does."""
    sizes = "".join(
        f", {size:,} {name if name.endswith('s') else f'{name} tokens'}"
        for name, size in facts.vocabularies.items()
    )
    rows = [
        f"| {split} | {name.rsplit('/', 1)[-1]} | {value:.4f} |"
        for split, values in facts.metrics.items()
        for name, value in values.items()
    ]
    source = "".join(
        f"- {what}: `{value}`\n"
        for what, value in (("Data", facts.corpus), ("Command", facts.command))
        if value
    )
    table = (
        "\n".join(["| split | metric | value |", "| --- | --- | --- |", *rows]) if rows else "Not measured."
    )
    return f"""---
library_name: nlp_rnn
tags: [{facts.task}, rnn]
---

# {facts.task.capitalize().replace("_", " ")} model

A recurrent model of nlp_rnn {nlp_rnn.__version__}: {facts.num_parameters:,} parameters{sizes}.

{source}
{table}

## Use

```python
from nlp_rnn import pipeline

print(pipeline("{facts.task}", model="path/to/this/folder")({json.dumps(facts.example, ensure_ascii=False)}))
```

## The model

```
{facts.model}
```
"""
