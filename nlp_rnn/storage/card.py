"""The README.md of a model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nlp_rnn
from nlp_rnn.storage.results import Measured, current_versions, hub_dataset


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
        results: those of the metrics that can be measured again.
        seed: of the training, if known.
        pipeline_tag: the hub's name of the task, if it has one.
        extra: a description of each extra training corpus.
        averaged: the models whose weights its own are the mean of.
    """

    task: str
    example: Any
    num_parameters: int
    vocabularies: Mapping[str, int]
    model: str
    corpus: str = ""
    command: str = ""
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    results: Sequence[Measured] = ()
    seed: int | None = None
    pipeline_tag: str | None = None
    extra: Sequence[str] = ()
    averaged: Sequence[str] = ()


TABLE = ["| split | metric | value |", "| --- | --- | --- |"]
NOT_MEASURED = "Not measured."


def table_rows(label: str, metrics: Mapping[str, float]) -> list[str]:
    """The rows of the table of results, as Markdown.

    Args:
        label: the split, see `row_label`.
        metrics: by name; of what has a stage before a slash, the rest is shown.
    """
    return [f"| {label} | {name.rsplit('/', 1)[-1]} | {value:.4f} |" for name, value in metrics.items()]


def row_label(measured: Measured, training_path: str | None) -> str:
    """What a table calls the rows that were measured: their split, and their corpus if it is another one."""
    part = f" ({measured.rows:,} rows)" if "max_examples" in measured.data else ""
    other = "" if measured.path == training_path else f" of {measured.path.replace('|', '/')}"
    return f"{measured.split_name}{part}{other}"


def _metadata(facts: CardFacts) -> str:
    """The metadata as YAML: for the hub, and under `nlp_rnn` what is needed to measure the results again.

    No license and no language are stated: only the owner knows them.
    """
    from huggingface_hub import ModelCardData

    training: dict[str, Any] = {}
    if facts.corpus:
        training["data"] = {"path": facts.corpus}
    if facts.command:
        training |= {"command": facts.command, "versions": current_versions()}
    if facts.seed is not None:
        training["seed"] = facts.seed
    own = {"task": facts.task, "training": training, "results": [result.state() for result in facts.results]}
    dataset = hub_dataset(facts.corpus)
    tag = facts.pipeline_tag
    evaluated = [entry for result in facts.results for entry in result.eval_results(tag or facts.task)]
    data = ModelCardData(
        library_name="nlp_rnn",
        pipeline_tag=tag,
        tags=[facts.task, "rnn"],
        datasets=[dataset] if dataset else None,
        model_name="nlp_rnn" if evaluated else None,
        eval_results=evaluated or None,
        nlp_rnn={name: value for name, value in own.items() if value},
    )
    return str(data.to_yaml())


def model_card(facts: CardFacts) -> str:
    """The card as Markdown: what the model is, how it was trained, its metrics, and how to use it."""
    sizes = "".join(
        f", {size:,} {name if name.endswith('s') else f'{name} tokens'}"
        for name, size in facts.vocabularies.items()
    )
    rows = [row for split, values in facts.metrics.items() for row in table_rows(split, values)]
    source = "".join(
        f"- {label}: `{value}`\n"
        for label, value in (
            ("Data", facts.corpus),
            *(("Extra data", text) for text in facts.extra),
            *(("Averaged weights of", model) for model in facts.averaged),
            ("Command", facts.command),
        )
        if value
    )
    table = "\n".join([*TABLE, *rows]) if rows else NOT_MEASURED
    return f"""---
{_metadata(facts)}
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
