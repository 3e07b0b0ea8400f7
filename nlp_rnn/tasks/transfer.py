"""Initializing a model with a trained one, with a language model (Dai & Le 2015), or with word vectors."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor, nn

from nlp_rnn.data.vocabulary import PAD, UNK, Vocabulary
from nlp_rnn.errors import UsageError, join_names, one_line
from nlp_rnn.files import shorten
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.cells import cell_name
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.storage.vectors import find_vectors
from nlp_rnn.tasks.pretrained import from_pretrained

if TYPE_CHECKING:
    from nlp_rnn.tasks.base import Task

log = logging.getLogger(__name__)

_MAX_EXAMPLES = 5  # tokens or labels in a report
_FEW_FOUND = 0.2  # of the tokens; with fewer, they are hardly vectors of such tokens


@torch.no_grad()
def initialize_encoder(
    source: str, vocabulary: Vocabulary, embedding: nn.Embedding, rnn: RecurrentLayer
) -> None:
    """Copy the weights of a language model into an embedding and recurrent layers, and print how many.

    Each row of the embedding becomes the language model's row of the same token, or of the unknown token. So
    at first the layers read any text as the language model does, in each direction that it has (Peters et
    al. 2018). A layer above a bidirectional one also reads the features of the other direction, which the
    language model does not: its weights for these begin at zero. If the first layer reads more than the
    embedding, as a tagger's reads character features too, the columns for the rest keep their
    initialization.

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
    copied = _copy_direction(source_encoder.rnn, rnn)
    if source_encoder.backward_rnn is not None and rnn.bidirectional:
        copied += _copy_direction(source_encoder.backward_rnn, rnn, "_reverse")
    _print_once(
        f"{where}: copied {known:,} of {len(tokens):,} token embeddings ({known / len(tokens):.1%}) and "
        f"{copied} of {len([*rnn.parameters()])} recurrent tensors"
        + (f"; --data.vocabulary.model {source} takes over all tokens" if known < len(tokens) else "")
    )


def _copy_direction(source: RecurrentLayer, rnn: RecurrentLayer, direction: str = "") -> int:
    """Copy the layers of a unidirectional stack into one direction of another, as far as both have layers.

    Args:
        source: the stack to copy, of the same cell and hidden size.
        rnn: changed in place.
        direction: how the names of the parameters of that direction end.

    Returns:
        The number of tensors that were copied.
    """
    weights, copied = dict(rnn.named_parameters()), 0
    for name, trained in source.named_parameters():
        weight = weights.get(name + direction)
        if weight is None:  # there are fewer layers
            continue
        if name.startswith("weight_ih") and not name.endswith("_l0"):
            # [:, H:] of the input are the features of the layers below that read backward.
            start = source.hidden_size if direction else 0
            weight.zero_()
            weight[:, start : start + source.hidden_size] = trained
        elif name.startswith("weight_ih"):
            weight[:, : trained.size(1)] = trained
        else:
            weight.copy_(trained)
        copied += 1
    return copied


@torch.no_grad()
def initialize_from(task: Task, source: Task, where: str) -> None:
    """Copy the weights of a trained model, and print what was kept and what is new.

    Of weights with a row per token or label (see `Task.row_names`), the rows of those that both models have
    are copied. Other weights are copied if their shapes are equal. All others keep their initialization.

    Args:
        task: the model to train, changed in place.
        source: the trained model, of any task.
        where: what messages call it.

    Raises:
        UsageError: the trained model has int8 weights, or nothing in common with the other.
    """
    if is_quantized(source.model):
        raise UsageError(f"init_from {where}: its weights are int8; give the model that was quantized")
    ours, theirs = task.model.state_dict(), source.model.state_dict()
    rows, their_rows = task.row_names(), source.row_names()
    copied, left, reports = 0, [], []
    for name, weight in ours.items():
        trained = theirs.get(name)
        if trained is None or trained.shape[1:] != weight.shape[1:]:
            left.append(name)
        elif name in rows and name in their_rows:
            places = {token: row for row, token in enumerate(their_rows[name])}
            kept = [(row, places[token]) for row, token in enumerate(rows[name]) if token in places]
            weight[[row for row, _ in kept]] = trained[[row for _, row in kept]]
            copied += bool(kept)
            if name.endswith("weight"):
                reports.append(f"{name} {_rows_report(their_rows[name], rows[name])}")
        elif trained.shape == weight.shape:
            weight.copy_(trained)
            copied += 1
        else:
            left.append(name)
    if not copied:
        raise UsageError(
            f"init_from {where}: none of its weights has the name and shape of one of this model"
        )
    if left:
        reports.append(f"not copied: {join_names(left)}")
    if task.optimization.freeze:  # which may be a setting of the trained model
        reports.append(f"frozen: {join_names(task.optimization.freeze)}")
    report = "; ".join([f"copied {copied} of {len(ours)} tensors", *reports])
    _print_once(one_line(f"init_from {where}: {report}"))


def _rows_report(old: Sequence[str], new: Sequence[str]) -> str:
    """How many rows were kept, and examples of those that are new or gone."""
    before, after = set(old), set(new)
    groups = {
        "new": [row for row in new if row not in before],
        "gone": [row for row in old if row not in after],
    }
    report = f"{len(new) - len(groups['new']):,} of {len(new):,} rows kept"
    for name, names in groups.items():
        if names:
            examples = ", ".join(map(shorten, names[:_MAX_EXAMPLES]))
            report += f", {len(names):,} {name} ({examples}{', ...' if len(names) > _MAX_EXAMPLES else ''})"
    return report


def initialize_layers(
    vocabulary: Vocabulary,
    embedding: nn.Embedding,
    rnn: RecurrentLayer,
    init_encoder: str | None,
    vectors: str | None,
) -> None:
    """Initialize an embedding and recurrent layers from the files that a user names, as far as there are any.

    Args:
        vocabulary: of the embedding.
        embedding: of tokens, changed in place.
        rnn: the recurrent layers, changed in place.
        init_encoder: a language model, see `initialize_encoder`.
        vectors: word vectors, see `initialize_embedding`; they replace the language model's embedding.

    Raises:
        UsageError: a file cannot be read, or does not fit.
    """
    if init_encoder is not None:
        initialize_encoder(init_encoder, vocabulary, embedding, rnn)
    if vectors is not None:
        initialize_embedding(vectors, vocabulary, embedding)


@torch.no_grad()
def initialize_embedding(path: str, vocabulary: Vocabulary, embedding: nn.Embedding) -> None:
    """Copy word vectors into an embedding, and print how many were found.

    All are multiplied by one number, so that their mean square is that of the rows that they replace: trained
    vectors are often several times as small, and the first steps of training would then undo them. The
    unknown token gets the mean of the vectors. The rows of other tokens are drawn from a normal distribution
    with the mean and standard deviation of the vectors in each dimension. The row of the padding token stays
    as it is.

    Args:
        path: as for `find_vectors`.
        vocabulary: of the embedding.
        embedding: of tokens, changed in place.

    Raises:
        UsageError: the vectors cannot be read, have another size, or none is of a token.
    """
    tokens = vocabulary.tokens()
    vectors = find_vectors(path, tokens, embedding.embedding_dim)
    found = torch.from_numpy(vectors.is_found)
    if not vectors.is_found[vectors.is_word].any():
        raise UsageError(f"vectors {path}: none of the {vectors.is_word.sum():,} tokens is among its words")
    matrix = torch.from_numpy(vectors.matrix)
    matrix *= _root_mean_square(embedding.weight[found]) / _root_mean_square(matrix[found])
    std, mean = torch.std_mean(matrix[found], dim=0, correction=0)
    # With a seed of its own, so that all other weights do not depend on it.
    drawn = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(0))
    drawn[UNK] = 0
    matrix = torch.where(found[:, None], matrix, mean + std * drawn)
    embedding.weight[PAD + 1 :] = matrix[PAD + 1 :].to(embedding.weight)
    _print_once(f"vectors {path}: {vectors.report()}")
    if vectors.is_found[vectors.is_word].mean() < _FEW_FOUND:
        log.warning(
            "vectors %s: few tokens were found; vectors of words are for vocabulary.level word, and for the "
            "language of the data",
            path,
        )


def _root_mean_square(values: Tensor) -> float:
    return max(float(values.double().square().mean().sqrt()), torch.finfo(torch.float32).tiny)


@rank_zero_only
def _print_once(line: str) -> None:
    print(line, file=sys.stderr)
