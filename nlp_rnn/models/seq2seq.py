"""Many to many, sequence to sequence: an encoder, a decoder, and only the final state between them.

The model of Sutskever et al. (2014), without attention. Tensors are time-major, [T, B].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import cell_name, recurrent_layer
from nlp_rnn.models.layers.dropout import Dropout
from nlp_rnn.models.layers.embedding import Embedding
from nlp_rnn.models.layers.loss import linear_cross_entropy

_TIED_INIT_RANGE = 0.1  # initialization of tied weights as in Merity et al. (2018)


class Encoder(nn.Module):
    """Reads a sequence of token ids into a recurrent state.

    Args:
        vocab_size: number of token ids.
        embedding_dim: size of the token embeddings.
        hidden_dim: H, the hidden size of the recurrent layers.
        num_layers: number of recurrent layers.
        dropout: probability of dropout on embeddings and between layers.
        cell: a name in `CELLS`.
        bidirectional: read in both directions, each with layers of H / 2 units (as the encoder of Bahdanau
            et al. 2015, whose two halves are joined). Outputs and states are forward and backward half, one
            behind the other, so they have the same size H as without.

    Raises:
        ValueError: unknown cell; or both directions with an odd hidden size.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        if bidirectional and hidden_dim % 2:
            raise ValueError(f"two directions need an even hidden_dim, half of it each, not {hidden_dim}")
        self.embedding = Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(
            cell,
            embedding_dim,
            hidden_dim // 2 if bidirectional else hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.dropout = Dropout(dropout)
        self._embedding_owner: tuple[Decoder, ...] = ()  # in a tuple it is no part of this module
        self._add_layers(hidden_dim)

    def _add_layers(self, hidden_dim: int) -> None:
        """Add the layers that a subclass has besides these."""

    def share_embedding(self, decoder: Decoder) -> None:
        """Use the decoder's embedding in place of an own one."""
        del self.embedding
        self._embedding_owner = (decoder,)

    @property
    def source_embedding(self) -> nn.Embedding:
        """The embedding of the source, which may be the decoder's."""
        return self._embedding_owner[0].embedding if self._embedding_owner else self.embedding

    @property
    def hidden_dim(self) -> int:
        """H, the size of its outputs and states."""
        return self.rnn.hidden_size * (2 if self.rnn.bidirectional else 1)

    def embed(self, source: Tensor) -> Tensor:
        """[S, B] int64 ids -> [S, B, E], after dropout."""
        embedded: Tensor = self.dropout(self.source_embedding(source))
        return embedded

    def forward(self, source: Tensor, lengths: Tensor | None = None) -> State:
        """[S, B] int64 ids, [B] lengths (all S if left out) -> state, tensors of [num_layers, B, H]."""
        return self._read(source, lengths)[1]

    def _read(self, source: Tensor, lengths: Tensor | None) -> tuple[Tensor, State]:
        """The outputs [S, B, H] and the final state, tensors of [num_layers, B, H]."""
        outputs, state = self.rnn(self.embed(source), lengths=lengths)
        return outputs, join_directions(state) if self.rnn.bidirectional else state

    @override
    def extra_repr(self) -> str:
        return "embedding=decoder.embedding" if self._embedding_owner else ""


def join_directions(state: State) -> State:
    """Join the two directions of each layer: tensors of [num_layers * 2, B, K] -> [num_layers, B, 2 K]."""
    return tuple(
        tensor.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2)  # [layers, 2, B, K] -> [layers, B, 2, K]
        for tensor in state
    )


class Decoder(nn.Module):
    """Scores the next target token, given the tokens before it and a recurrent state.

    Args:
        vocab_size: number of token ids.
        embedding_dim: size of the token embeddings.
        hidden_dim: H, the hidden size of the recurrent layers.
        num_layers: number of recurrent layers.
        dropout: probability of dropout on embeddings, between layers and before the output layer.
        cell: a name in `CELLS`.
        tie_weights: share one weight matrix between the embedding and the output layer (Press & Wolf 2017).
            The output layer then has only a bias of its own.

    Raises:
        ValueError: unknown cell; or tied weights with different embedding and hidden sizes.
    """

    reads_context = False
    """Whether each step reads a context vector [H] beside the embedding."""

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
        tie_weights: bool = False,
    ) -> None:
        super().__init__()
        if tie_weights and embedding_dim != hidden_dim:
            raise ValueError(
                f"tied weights need embedding_dim and hidden_dim to be equal, not {embedding_dim} and "
                f"{hidden_dim}"
            )
        self.embedding = Embedding(vocab_size, embedding_dim)
        input_dim = embedding_dim + (hidden_dim if self.reads_context else 0)
        self.rnn = recurrent_layer(cell, input_dim, hidden_dim, num_layers=num_layers, dropout=dropout)
        self.fc_out: nn.Linear | None = None
        if tie_weights:
            nn.init.uniform_(self.embedding.weight, -_TIED_INIT_RANGE, _TIED_INIT_RANGE)
            self.bias = nn.Parameter(torch.zeros(vocab_size))
        else:
            self.fc_out = nn.Linear(self._output_dim(embedding_dim, hidden_dim), vocab_size)
        self.dropout = Dropout(dropout)
        self._add_layers(embedding_dim, hidden_dim)

    def _output_dim(self, embedding_dim: int, hidden_dim: int) -> int:
        """The size of what the output layer reads."""
        return hidden_dim

    def _add_layers(self, embedding_dim: int, hidden_dim: int) -> None:
        """Add the layers that a subclass has besides these."""

    def forward(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        """Run all steps in one call: [T, B] int64 ids -> logits [T, B, vocab_size] and the final state."""
        features, state = self._features_and_state(target, state)
        return self.logits(features), state

    @property
    def output(self) -> tuple[Tensor, Tensor]:
        """The output layer's weight [vocab_size, H] and bias [vocab_size]."""
        if self.fc_out is not None:
            return self.fc_out.weight, self.fc_out.bias
        return self.embedding.weight, self.bias

    def logits(self, features: Tensor) -> Tensor:
        """The output layer: [..., H] -> [..., vocab_size]."""
        if self.fc_out is None:
            return F.linear(features, *self.output)
        logits: Tensor = self.fc_out(features)
        return logits

    def cross_entropy(self, features: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """The mean loss of `logits` of features [N, H], without all of them in memory.

        Args:
            features: [N, H], float.
            labels: [N] int64.
            label_smoothing: fraction of probability spread over the vocabulary.

        Returns:
            A scalar, see `nlp_rnn.models.layers.loss`.
        """
        return linear_cross_entropy(features, *self.output, labels, label_smoothing)

    def features(self, target: Tensor, state: State, lengths: Tensor | None = None) -> Tensor:
        """The input of `logits`: [T, B] int64 ids -> [T, B, H], zero behind each of `lengths` [B]."""
        features: Tensor = self.dropout(
            self.rnn.outputs(self.dropout(self.embedding(target)), state, lengths)
        )
        return features

    def greedy_token(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        """The most probable token after the last of `target` [T, B], as [B] int64 ids, and the new state."""
        features, state = self._features_and_state(target, state)
        return self.logits(features[-1]).argmax(-1), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token per sequence: [B] int64 ids -> logits [B, vocab_size] and the new state."""
        logits, state = self(tokens[None], state)
        return logits[0], state

    def alignment(self, target: Tensor, state: State) -> Tensor | None:
        """The weights of the source positions at each step; None, for this decoder looks at none of them."""
        return None

    def _features_and_state(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        output, state = self.rnn(self.dropout(self.embedding(target)), state)  # [T, B, H]
        return self.dropout(output), state

    @override
    def extra_repr(self) -> str:
        return "" if self.fc_out is not None else "fc_out=embedding"


class Seq2Seq(nn.Module):
    """An encoder whose final state is the initial state of a decoder.

    Args:
        encoder: reads the source.
        decoder: has the same cell, number of layers and hidden size.

    Raises:
        ValueError: encoder and decoder differ in one of these.

    Examples:
        sizes = {"embedding_dim": 256, "hidden_dim": 512, "num_layers": 2, "dropout": 0.5}
        model = Seq2Seq(Encoder(7855, **sizes), Decoder(5893, **sizes))
        logits = model(source, target)  # [S, B], [T, B] -> [T, B, 5893]
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        for setting, in_encoder, in_decoder in (
            ("cell", cell_name(encoder.rnn), cell_name(decoder.rnn)),
            ("hidden_dim", encoder.hidden_dim, decoder.rnn.hidden_size),
            ("num_layers", encoder.rnn.num_layers, decoder.rnn.num_layers),
        ):
            if in_encoder != in_decoder:
                raise ValueError(
                    f"encoder and decoder do not fit: {setting} is {in_encoder} in the encoder and "
                    f"{in_decoder} in the decoder"
                )
        self.encoder = encoder
        self.decoder = decoder

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        source_lengths: Tensor | None = None,
        teacher_forcing: float = 1.0,
    ) -> Tensor:
        """Score the token that follows each target token.

        Args:
            source: [S, B] int64 ids.
            target: [T, B] int64 ids, the first row BOS.
            source_lengths: [B]; all S if left out.
            teacher_forcing: probability, sampled for each step, that the decoder reads the true token and
                not its own greedy prediction (scheduled sampling, Bengio et al. 2015). The predictions are
                made first, without gradients; then the decoder is called once for all steps.

        Returns:
            Logits [T, B, target vocabulary]; row t scores the token after `target[t]`.

        Raises:
            ValueError: `teacher_forcing` is outside 0..1.
        """
        state = self.encoder(source, source_lengths)
        logits: Tensor = self.decoder(self._scheduled_sampling(target, state, teacher_forcing), state)[0]
        return logits

    def features(
        self,
        source: Tensor,
        target: Tensor,
        source_lengths: Tensor | None = None,
        target_lengths: Tensor | None = None,
        teacher_forcing: float = 1.0,
    ) -> Tensor:
        """As `forward`, but before the output layer: [T, B, H], zero behind each of `target_lengths` [B].

        A loss over a large vocabulary is computed from these, see `Decoder.cross_entropy`.
        """
        state = self.encoder(source, source_lengths)
        return self.decoder.features(
            self._scheduled_sampling(target, state, teacher_forcing), state, target_lengths
        )

    @torch.no_grad()
    def _scheduled_sampling(self, target: Tensor, state: State, teacher_forcing: float) -> Tensor:
        """[T, B] ids, some of the tokens after the first replaced by the decoder's own predictions."""
        if not 0.0 <= teacher_forcing <= 1.0:
            raise ValueError(f"teacher_forcing must lie between 0 and 1, not {teacher_forcing}")
        replaced = (torch.rand(max(0, target.size(0) - 1)) >= teacher_forcing).nonzero()[:, 0].tolist()
        decoder_input = target.clone()
        read = 0  # steps that the decoder has read
        for step in replaced:
            token, state = self.decoder.greedy_token(decoder_input[read : step + 1], state)
            decoder_input[step + 1] = token
            read = step + 1
        return decoder_input
