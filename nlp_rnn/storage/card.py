"""The README.md of a model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nlp_rnn


@dataclass(frozen=True)
class CardFacts:
    """What a model's card states.

    Args:
        task: the name of the task.
        example: an input for the code example.
        num_parameters: the number of parameters.
        vocabularies: sizes in tokens, by name.
        model: the printed form of the model.
        corpus: what the model was trained on, if known.
        command: the command that trained it, if known.
        metrics: split -> metric -> measured value.
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
    """The card as Markdown: what the model is, how it was trained, its metrics, and how to use it."""
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
        f"- {label}: `{value}`\n"
        for label, value in (("Data", facts.corpus), ("Command", facts.command))
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
