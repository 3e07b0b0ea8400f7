"""Taggers of other people's code, whichever library their layers are of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.conversion.imported import Draw, Imported, Request, make_task, renumber
from nlp_rnn.conversion.recurrent import Recurrent
from nlp_rnn.conversion.vocabulary import arrange, arrange_labels, read_tokens
from nlp_rnn.tasks.tagging import Tagging
from nlp_rnn.tasks.tagging.data import TaggingProcessor


def tagger(
    request: Request,
    embedding: Tensor,
    layers: Recurrent,
    weight: Tensor,
    bias: Tensor,
    original: Callable[[Tensor], Tensor],
) -> Imported:
    """Convert a tagger of one tag per word.

    Args:
        request: with the vocabularies of words and of tags.
        embedding: [V, E], by the other vocabulary's ids.
        layers: the recurrent layers.
        weight: [C, D * H] of the output layer. Rows of special tokens, such as padding, are left out.
        bias: [C].
        original: the scores that the original has, [T, E] -> [T, C].

    Raises:
        UsageError: a vocabulary does not fit.
    """
    words_file, tags_file = request.vocabularies
    words = arrange(read_tokens(words_file), len(embedding), str(words_file), split=False)
    tags = read_tokens(tags_file)
    kept = arrange_labels(tags, len(weight), str(tags_file))
    task = make_task(
        Tagging,
        TaggingProcessor(words.vocabulary, [tags[row] for row in kept], max_length=request.max_length),
        {"embedding_dim": layers.input_size, "bidirectional": layers.bidirectional, **layers.settings},
        {
            "embedding.weight": words.rows(embedding),
            "fc_out.weight": weight[kept],
            "fc_out.bias": bias[kept],
            **{f"rnn.{name}": value for name, value in layers.tensors.items()},
        },
    )
    places = words.ids()

    def compare(draw: Draw, length: int) -> tuple[Tensor, Tensor]:
        ids = draw(0, length)
        theirs = original(F.embedding(ids, embedding))
        scores: Tensor = task.model(renumber(ids, places)[:, None], torch.tensor([length]))
        return theirs[:, kept], scores[:, 0]

    return Imported(task, compare, [list(places)], list(words.notes))
