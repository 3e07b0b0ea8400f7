"""The tutorial's training loop, on the ids that ours trains on."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from benchmarks import tutorial
from benchmarks.given import Given
from benchmarks.ours import UNITS, counted, data_of, task_of
from benchmarks.worker import Caller
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, EOS, PAD
from nlp_rnn.tasks import Task


def tutorial_loop(given: Given, caller: Caller, packed: bool = True, heaviest_first: bool = False) -> None:
    """Random batches padded to the longest, in fp32."""
    torch.manual_seed(0)
    data = data_of(given)
    model = tutorial_model(given.task, task_of(given, data), packed).to(given.device)
    optimizer = torch.optim.Adam(model.parameters())
    ignored = {"translation": PAD, "tagging": IGNORED, "sentiment": IGNORED}[given.task]
    criterion = nn.CrossEntropyLoss(ignore_index=ignored)
    rows = data.splits["train"]
    batches = tutorial.random_batches(len(rows), given.batch_size)
    if heaviest_first:  # the longest of all on each side among the others
        longest = {int(rows.lengths(name).argmax()) for name in data.processor.length_columns}
        first = [*longest, *next(batches)]
        batches = iter([first[: given.batch_size], *islice(batches, 10_000)])
    model.train()
    for steps in caller.rounds(parameters=sum(parameter.numel() for parameter in model.parameters())):
        with caller.measured(UNITS[given.task], given.device) as found:
            seen = []
            for chosen in islice(batches, steps):
                batch = tutorial_batch(given.task, rows[chosen])
                seen.append(batch.pop("counts"))
                tutorial.train_step(model, moved(batch, given.device), optimizer, criterion)
            found.update(counted(seen))


def tutorial_model(task: str, ours: Task, packed: bool = True) -> Any:
    """The tutorial's model with the sizes of ours."""
    settings: dict[str, Any] = ours.settings
    processor: Any = ours.processor
    embedding, hidden = settings["embedding_dim"], settings["hidden_dim"]
    layers, dropout = settings["num_layers"], settings["dropout"]
    if task == "translation":
        words = len(processor.source), len(processor.target)
        return tutorial.Seq2Seq(*words, embedding, hidden, layers, dropout)
    if task == "sentiment":
        classes = len(processor.labels)
        return tutorial.Classifier(len(processor.tokens), classes, embedding, hidden, layers, packed)
    return tutorial.Tagger(
        len(processor.words),
        len(processor.characters),
        len(processor.labels),
        embedding,
        hidden,
        settings["character_embedding_dim"],
        settings["character_hidden_dim"],
        packed,
    )


def tutorial_batch(task: str, rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Encoded rows as the tutorial's models take them, and `counts` of what is in them."""

    def tensors(name: str) -> list[torch.Tensor]:
        return [torch.tensor(ids, dtype=torch.long) for ids in rows[name]]

    def lengths(sequences: list[torch.Tensor]) -> torch.Tensor:
        return torch.tensor([len(sequence) for sequence in sequences])

    if task == "translation":
        source = tensors("source_ids")
        target = [torch.cat([torch.tensor([BOS]), ids, torch.tensor([EOS])]) for ids in tensors("target_ids")]
        counts = {"lengths": lengths(source), "target_lengths": lengths(target) - 1}
        padded = (pad_sequence(side, padding_value=PAD) for side in (source, target))
        return {**dict(zip(("source", "target"), padded, strict=True)), "counts": counts}
    if task == "sentiment":
        texts = tensors("token_ids")
        batch = {"tokens": pad_sequence(texts, padding_value=PAD), "lengths": lengths(texts)}
        labels = {"label": torch.tensor(rows["label_id"])} if "label_id" in rows else {}
        return {**batch, **labels, "counts": {"lengths": batch["lengths"]}}
    words = tensors("word_ids")
    letters = zip(tensors("letter_ids"), tensors("letter_counts"), strict=True)
    spelled = [list(ids.split(counts.tolist())) for ids, counts in letters]
    tags = {"tags": pad_sequence(tensors("label_ids"), padding_value=IGNORED)} if "label_ids" in rows else {}
    return {
        "tokens": pad_sequence(words, padding_value=PAD),
        "lengths": lengths(words),
        "spelled": spelled,
        **tags,
        "counts": {"lengths": lengths(words)},
    }


def moved(batch: dict[str, Any], device: str) -> dict[str, Any]:
    """All but the lengths, which packing wants on the CPU, on the device."""

    def move(value: Any) -> Any:
        return [move(part) for part in value] if isinstance(value, list) else value.to(device)

    return {name: value if name == "lengths" else move(value) for name, value in batch.items()}
