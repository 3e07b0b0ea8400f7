"""Initializing a model with the weights of a trained language model (Dai & Le 2015)."""

from __future__ import annotations

import sys
from collections.abc import Mapping

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
    """Copy the weights of a language model into an embedding and recurrent layers, and print how many.

    Each row of the embedding becomes the language model's row of the same token, or of the unknown token. So
    at first the layers read any text as the language model does. Of the recurrent layers those that read
    forward and have the same shapes are copied: not a layer above a bidirectional one, whose input is wider.
    If the first layer reads more than the embedding, as a tagger's reads character features too, the columns
    for the rest keep their initialization.

    Args:
        source: what `nlp_rnn.from_pretrained` takes: a model folder or checkpoint.
        vocabulary: of the embedding.
        embedding: of tokens, changed in place.
        rnn: the recurrent layers that read the embedding, changed in place.

    Raises:
        UsageError: there is no such language model, or it has int8 weights, another cell or other sizes.
    """
    where = f"init_encoder {source}"
    with torch.random.fork_rng(devices=[]):  # so that all other weights do not depend on it
        try:
            task = from_pretrained(source)
        except UsageError as error:
            raise UsageError(f"init_encoder: {error}") from error
    try:
        source_encoder = task.encoder()
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if is_quantized(task.model):
        raise UsageError(f"{where}: its weights are int8; give the model that was quantized")
    must_match: list[tuple[str, object, object]] = [
        ("embedding_dim", source_encoder.embedding.embedding_dim, embedding.embedding_dim),
        ("cell", cell_name(source_encoder.rnn), cell_name(rnn)),
        ("hidden_dim", source_encoder.rnn.hidden_size, rnn.hidden_size),
    ]
    for name, theirs, ours in must_match:
        if theirs != ours:
            raise UsageError(f"{where}: its {name} is {theirs}, this model's {ours}; they must be equal")

    ids = {token: id for id, token in enumerate(source_encoder.vocabulary.tokens())}
    tokens = vocabulary.tokens()
    known = sum(token in ids for token in tokens)
    rows = torch.tensor([ids.get(token, UNK) for token in tokens])
    embedding.weight.copy_(source_encoder.embedding.weight[rows])
    layers, source_layers = _by_layer(rnn), _by_layer(source_encoder.rnn)
    layers["0"]["weight_ih_l0"] = layers["0"]["weight_ih_l0"][:, : embedding.embedding_dim]
    copied = 0
    for layer, weights in layers.items():
        source_weights = source_layers.get(layer, {})
        if _shapes(weights) == _shapes(source_weights):
            for name, weight in weights.items():
                weight.copy_(source_weights[name])
            copied += len(weights)
    _print_once(
        f"{where}: copied {known:,} of {len(tokens):,} token embeddings ({known / len(tokens):.1%}) and "
        f"{copied} of {sum(map(len, layers.values()))} recurrent tensors"
    )


@rank_zero_only
def _print_once(line: str) -> None:
    print(line, file=sys.stderr)


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}


def _by_layer(rnn: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Layer and direction, as the names of parameters end ("0", "1_reverse") -> parameters by name."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, weight in rnn.named_parameters():
        layers.setdefault(name.rpartition("_l")[2], {})[name] = weight
    return layers
