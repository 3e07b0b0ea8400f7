"""Classifiers of other people's code, whichever library their layers are of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.conversion.imported import Draw, Imported, Request, make_task, renumber
from nlp_rnn.conversion.recurrent import Recurrent
from nlp_rnn.conversion.vocabulary import arrange, arrange_labels, read_tokens
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.sentiment import Sentiment
from nlp_rnn.tasks.sentiment.data import SentimentProcessor


def classifier(
    request: Request,
    embedding: Tensor,
    layers: Recurrent,
    weight: Tensor,
    bias: Tensor,
    original: Callable[[Tensor], Tensor],
    pooling: str = "last",
) -> Imported:
    """Convert a classifier of one label per text.

    Args:
        request: with the vocabulary of tokens, and that of labels if there is one.
        embedding: [V, E], by the other vocabulary's ids.
        layers: the recurrent layers.
        weight: [C, D * H] of the output layer, whose columns are the forward state's first. With one row it
            scores the second of two labels, by a sigmoid.
        bias: [C].
        original: the scores that the original has, [T, E] -> [C].
        pooling: what the output layer reads, as in `Classifier`.

    Raises:
        UsageError: a vocabulary does not fit.
    """
    tokens_file, *labels_files = request.vocabularies
    tokens = arrange(read_tokens(tokens_file), len(embedding), str(tokens_file))
    notes = list(tokens.notes)
    if binary := len(weight) == 1:  # sigmoid(x) is the second of softmax([0, x])
        weight, bias = (torch.cat((torch.zeros_like(values), values)) for values in (weight, bias))
    if labels_files:
        labels = read_tokens(labels_files[0])
        kept = arrange_labels(labels, len(weight), str(labels_files[0]))
    elif len(weight) == 2:
        labels, kept = ["negative", "positive"], [0, 1]
        notes.append("the labels are taken to be negative and positive, in this order")
    else:
        raise UsageError(
            f"the output layer has {len(weight)} rows: give a second --vocab file with their labels"
        )
    names = [labels[row] for row in kept]
    task = make_task(
        Sentiment,
        SentimentProcessor(tokens.vocabulary, names, names, max_length=request.max_length),
        {
            "embedding_dim": layers.input_size,
            "bidirectional": layers.bidirectional,
            "pooling": pooling,
            **layers.settings,
        },
        {
            "embedding.weight": tokens.rows(embedding),
            "fc_out.weight": weight[kept],
            "fc_out.bias": bias[kept],
            **{f"rnn.{name}": value for name, value in layers.tensors.items()},
        },
    )
    places = tokens.ids()

    def compare(draw: Draw, length: int) -> tuple[Tensor, Tensor]:
        ids = draw(0, length)
        theirs = original(F.embedding(ids, embedding))
        if binary:
            theirs = torch.cat((torch.zeros_like(theirs), theirs))
        scores: Tensor = task.model(renumber(ids, places)[:, None], torch.tensor([length]))
        return theirs[kept], scores[0]

    return Imported(task, compare, [list(places)], notes)
