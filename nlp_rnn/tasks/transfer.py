"""What a trained language model knows of words, as the beginning of another model (Dai & Le 2015)."""

from __future__ import annotations

import sys

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor, nn

from nlp_rnn.data.vocabulary import UNK, Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.cells import cell_name
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.tasks.pretrained import from_pretrained


@torch.no_grad()
def initialize_encoder(
    source: str, vocabulary: Vocabulary, embedding: nn.Embedding, rnn: RecurrentLayer
) -> None:
    """Copy a language model's weights over those of layers that read the same, and say how many.

    The embedding's rows go to the tokens of the same name, that of the unknown token to all others: so the
    layers begin by reading any text as the language model does. Of the recurrent layers
    those are copied that read forwards and whose shapes fit: not one that reads both directions of the one
    below. Where the first reads more than the embedding, as a tagger's reads letters behind it, the columns
    for those keep their first weights.

    Args:
        source: what `nlp_rnn.from_pretrained` takes: a model folder or checkpoint.
        vocabulary: of the embedding.
        embedding: the layer that reads ids.
        rnn: the recurrent layers that read what it gives.

    Raises:
        UsageError: there is no language model, or it has int8 weights, another cell or other sizes.
    """
    where = f"init_encoder {source}"
    with torch.random.fork_rng(devices=[]):  # the same first weights elsewhere, with it or without
        try:
            task = from_pretrained(source)
        except UsageError as error:
            raise UsageError(f"init_encoder: {error}") from error
    try:
        source_encoder = task.encoder()
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if is_quantized(task.model):
        raise UsageError(f"{where}: its weights are int8; give the model that they were made from")
    alike: list[tuple[str, object, object]] = [
        ("embedding_dim", source_encoder.embedding.embedding_dim, embedding.embedding_dim),
        ("cell", cell_name(source_encoder.rnn), cell_name(rnn)),
        ("hidden_dim", source_encoder.rnn.hidden_size, rnn.hidden_size),
    ]
    for name, theirs, ours in alike:
        if theirs != ours:
            raise UsageError(f"{where}: its {name} is {theirs}, this model's {ours}; give both the same")

    ids = {token: id for id, token in enumerate(source_encoder.vocabulary.tokens())}
    tokens = vocabulary.tokens()
    known = sum(token in ids for token in tokens)
    rows = torch.tensor([ids.get(token, UNK) for token in tokens])
    embedding.weight.copy_(source_encoder.embedding.weight[rows])
    layers, theirs_by_layer = _by_layer(rnn), _by_layer(source_encoder.rnn)
    layers["0"]["weight_ih_l0"] = layers["0"]["weight_ih_l0"][:, : embedding.embedding_dim]
    copied = 0
    for place, weights in layers.items():
        found = theirs_by_layer.get(place, {})
        if {name: weight.shape for name, weight in weights.items()} == {
            name: weight.shape for name, weight in found.items()
        }:
            for name, weight in weights.items():
                weight.copy_(found[name])
            copied += len(weights)
    _say(
        f"{where}: {known:,} of {len(tokens):,} tokens ({known / len(tokens):.1%}) and {copied} of "
        f"{sum(map(len, layers.values()))} recurrent tensors carried over"
    )


@rank_zero_only
def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _by_layer(rnn: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Layer and direction, as parameters' names end ("0", "1_reverse"), -> those parameters by name."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, weight in rnn.named_parameters():
        layers.setdefault(name.rpartition("_l")[2], {})[name] = weight
    return layers
