"""The README.md of a model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping

import nlp_rnn
from nlp_rnn.tasks import Task


def model_card(
    task: Task, corpus: str = "", command: str = "", metrics: Mapping[str, Mapping[str, float]] | None = None
) -> str:
    """Markdown that says what the model is, what it was made from, how, and how well it does.

    Args:
        task: the trained model.
        corpus: what it was trained on, if that is known.
        command: the command that trained it, likewise.
        metrics: split -> metric -> value, as measured, likewise.
    """
    named = task.model.named_parameters()
    size = sum(parameter.numel() for name, parameter in named if not name.endswith(".scale"))  # of int8
    sizes = "".join(
        f", {len(vocabulary):,} {name if name.endswith('s') else f'{name} tokens'}"
        for name, vocabulary in task.processor.vocabularies().items()
    )
    rows = [
        f"| {split} | {name.rsplit('/', 1)[-1]} | {value:.4f} |"
        for split, values in (metrics or {}).items()
        for name, value in values.items()
    ]
    origin = "".join(
        f"- {what}: `{value}`\n" for what, value in (("Data", corpus), ("Command", command)) if value
    )
    table = (
        "\n".join(["| split | metric | value |", "| --- | --- | --- |", *rows]) if rows else "Not measured."
    )
    return f"""---
library_name: nlp_rnn
tags: [{task.name}, rnn]
---

# {task.name.capitalize().replace("_", " ")} model

A recurrent model of nlp_rnn {nlp_rnn.__version__}: {size:,} parameters{sizes}.

{origin}
{table}

## Use

```python
from nlp_rnn import pipeline

print(pipeline("{task.name}", model="path/to/this/folder")({json.dumps(task.example, ensure_ascii=False)}))
```

## The model

```
{task.model}
```
"""
