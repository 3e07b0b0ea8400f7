"""The tutorial's models in training and inference, on the same ids as nlp_rnn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from benchmarks import tutorial
from benchmarks.counting import UNITS, count_batches
from benchmarks.inference import load_texts, measure_bulk, measure_single
from benchmarks.options import Options
from benchmarks.recipes import make_data, make_task
from benchmarks.worker import Channel
from nlp_rnn import from_pretrained
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, EOS, PAD
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.translation import Translation


def train(options: Options, channel: Channel, packed: bool = True, heaviest_first: bool = False) -> None:
    """Train in fp32 on random batches, padded to the longest sequence; a turn is a number of steps.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        packed: pack padded sequences, so that layers skip the padding.
        heaviest_first: put the longest sequences of all into the first batch.
    """
    torch.manual_seed(0)
    data = make_data(options)
    model = build_tutorial_model(options.task, make_task(options, data), packed).to(options.device)
    optimizer = torch.optim.Adam(model.parameters())
    ignore_index = {"translation": PAD, "tagging": IGNORED, "sentiment": IGNORED}[options.task]
    criterion = nn.CrossEntropyLoss(ignore_index=ignore_index)
    rows = data.splits["train"]
    batches = tutorial.random_batches(len(rows), options.batch_size)
    if heaviest_first:
        longest = {int(rows.lengths(name).argmax()) for name in data.processor.length_columns}
        first = [*longest, *next(batches)]
        batches = iter([first[: options.batch_size], *islice(batches, 10_000)])
    model.train()
    for steps in channel.rounds({"parameters": sum(parameter.numel() for parameter in model.parameters())}):
        with channel.timed(UNITS[options.task], options.device) as measurement:
            lengths = []
            for row_numbers in islice(batches, steps):
                batch = tutorial_batch(options.task, rows[row_numbers])
                lengths.append(batch.pop("counts"))
                tutorial.train_step(model, to_device(batch, options.device), optimizer, criterion)
            measurement.update(count_batches(lengths))


@torch.no_grad()
def translate(options: Options, channel: Channel, model: str) -> None:
    """Decode with the weights of a trained nlp_rnn model, one sentence and one step at a time."""
    task, translator = load_translator(model)
    translator.to(options.device)
    processor = task.processor

    def predict(text: str) -> int:
        ids = source_ids(processor, text)
        output = translator.translate(ids, task.decoding.max_output, options.device) if ids else []
        processor.target.decode(output)
        return len(output)

    measure_single(options, channel, load_texts(options), predict)


def load_translator(model: str) -> tuple[Translation, tutorial.Seq2Seq]:
    """Load a trained nlp_rnn model, and copy its weights into the tutorial's model."""
    task = from_pretrained(model)
    assert isinstance(task, Translation)
    translator = build_tutorial_model("translation", task)
    assert isinstance(translator, tutorial.Seq2Seq)
    translator.load_state_dict(task.model.state_dict())
    return task, translator.eval()


def source_ids(processor: Any, text: str) -> list[int]:
    """Encode a sentence as the encoder reads it."""
    (ids,) = processor.encode(processor.rows([text]))["source_ids"]
    return ids[::-1] if processor.reverse_source else ids


@torch.no_grad()
def tag_or_classify(options: Options, channel: Channel, model: str, packed: bool) -> None:
    """Run the test split through the tutorial's tagger or classifier, in batches of the corpus's order.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        model: folder of an nlp_rnn model, which gives processor and sizes. The weights are random.
        packed: pack padded sequences.
    """
    task = from_pretrained(model)
    processor: Any = task.processor
    network = build_tutorial_model(options.task, task, packed).to(options.device).eval()

    def predict(texts: Sequence[Any], batch_size: int) -> list[Any]:
        rows = processor.rows(texts)
        rows.update(processor.encode(rows))
        labels: list[Any] = []
        for start in range(0, len(texts), batch_size):
            columns = {name: column[start : start + batch_size] for name, column in rows.items()}
            batch = tutorial_batch(options.task, columns)
            del batch["counts"]
            labels += network(*to_device(batch, options.device).values()).argmax(-1).cpu().tolist()
        return labels

    measure_bulk(options, channel, load_texts(options), predict, lambda labels: None)


def build_tutorial_model(task_name: str, task: Task, packed: bool = True) -> nn.Module:
    """Build the tutorial's model with the sizes of an nlp_rnn task."""
    settings: dict[str, Any] = task.settings
    processor: Any = task.processor
    embedding, hidden = settings["embedding_dim"], settings["hidden_dim"]
    layers, dropout = settings["num_layers"], settings["dropout"]
    if task_name == "translation":
        source_size, target_size = len(processor.source), len(processor.target)
        return tutorial.Seq2Seq(source_size, target_size, embedding, hidden, layers, dropout)
    if task_name == "sentiment":
        num_classes = len(processor.labels)
        return tutorial.Classifier(len(processor.tokens), num_classes, embedding, hidden, layers, packed)
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


def tutorial_batch(task_name: str, rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Pad encoded rows for the tutorial's models. `counts` holds the lengths, for `count_batches`."""

    def tensors(name: str) -> list[Tensor]:
        return [torch.tensor(ids, dtype=torch.long) for ids in rows[name]]

    def lengths(sequences: list[Tensor]) -> Tensor:
        return torch.tensor([len(sequence) for sequence in sequences])

    if task_name == "translation":
        source = tensors("source_ids")
        target = [torch.cat([torch.tensor([BOS]), ids, torch.tensor([EOS])]) for ids in tensors("target_ids")]
        return {
            "source": pad_sequence(source, padding_value=PAD),
            "target": pad_sequence(target, padding_value=PAD),
            "counts": {"lengths": lengths(source), "target_lengths": lengths(target) - 1},
        }
    if task_name == "sentiment":
        texts = tensors("token_ids")
        batch = {"tokens": pad_sequence(texts, padding_value=PAD), "lengths": lengths(texts)}
        labels = {"label": torch.tensor(rows["label_id"])} if "label_id" in rows else {}
        return {**batch, **labels, "counts": {"lengths": batch["lengths"]}}
    words = tensors("word_ids")
    characters = zip(tensors("letter_ids"), tensors("letter_counts"), strict=True)
    spelling = [list(ids.split(counts.tolist())) for ids, counts in characters]
    tags = {"tags": pad_sequence(tensors("label_ids"), padding_value=IGNORED)} if "label_ids" in rows else {}
    return {
        "tokens": pad_sequence(words, padding_value=PAD),
        "lengths": lengths(words),
        "spelling": spelling,
        **tags,
        "counts": {"lengths": lengths(words)},
    }


def to_device(batch: dict[str, Any], device: str) -> dict[str, Any]:
    """Move a batch to the device, except the lengths, which packing needs on the CPU."""

    def move(value: Any) -> Any:
        return [move(item) for item in value] if isinstance(value, list) else value.to(device)

    return {name: value if name == "lengths" else move(value) for name, value in batch.items()}
