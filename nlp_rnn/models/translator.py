"""The variants of the sequence-to-sequence model, and the one place that chooses among them."""

from __future__ import annotations

from typing import Annotated, Literal

from nlp_rnn.errors import UsageError
from nlp_rnn.models.attention import AttentiveEncoder, BahdanauDecoder, LuongDecoder
from nlp_rnn.models.context import ContextDecoder, ContextEncoder, DirectContextDecoder
from nlp_rnn.models.seq2seq import Decoder, Encoder, Seq2Seq
from nlp_rnn.settings import Choices

ATTENTIONS: dict[str, tuple[type[Encoder], type[Decoder]]] = {
    "none": (Encoder, Decoder),
    "bahdanau": (AttentiveEncoder, BahdanauDecoder),
    "luong": (AttentiveEncoder, LuongDecoder),
}
"""The classes of encoder and decoder by the name of the attention. To add one, give it a row."""

AttentionName = Annotated[str, Choices(ATTENTIONS)]
"""A setting that names an attention."""

Tied = Literal["none", "decoder", "all"]
"""Which matrices are one: none; the decoder's embedding and output layer; or the encoder's embedding too."""


READOUTS: dict[str, type[Decoder]] = {"combined": ContextDecoder, "direct": DirectContextDecoder}
"""The classes of decoders with a context by what their output layer reads."""

ReadoutName = Annotated[str, Choices(READOUTS)]
"""A setting that names a readout."""


def make_seq2seq(
    source_size: int,
    target_size: int,
    embedding_dim: int,
    hidden_dim: int,
    num_layers: int,
    dropout: float,
    cell: str = "lstm",
    *,
    tie_embeddings: Tied = "none",
    context: bool = False,
    readout: str = "combined",
    attention: str = "none",
    bidirectional: bool = False,
) -> Seq2Seq:
    """Make a sequence-to-sequence model; without the arguments after `cell`, the plain one.

    Args:
        source_size: number of source ids.
        target_size: number of target ids.
        embedding_dim: size of both embeddings.
        hidden_dim: H, the hidden size of the recurrent layers.
        num_layers: number of recurrent layers of the encoder, and of the decoder.
        dropout: probability of dropout.
        cell: a name in `CELLS`.
        tie_embeddings: which weights are shared, see `Tied`; `all` needs the same ids on both sides.
        context: whether the decoder reads the encoder's final state at each step.
        readout: a name in `READOUTS`: with a context, what the output layer reads.
        attention: a name in `ATTENTIONS`.
        bidirectional: whether the encoder reads in both directions, with H / 2 units each.

    Raises:
        UsageError: the settings do not fit together.
        ValueError: unknown cell.
    """
    if context and attention != "none":
        raise UsageError(
            f"context and attention {attention} exclude each other: attention has a context of its own"
        )
    if tie_embeddings != "none" and embedding_dim != hidden_dim:
        raise UsageError(
            f"tie_embeddings {tie_embeddings} needs embedding_dim and hidden_dim to be equal, not "
            f"{embedding_dim} and {hidden_dim}"
        )
    if readout != "combined" and (not context or tie_embeddings != "none"):
        raise UsageError(
            f"readout {readout} is for a decoder with context and without tied embeddings: set context to "
            "true and tie_embeddings to none, or leave readout at combined"
        )
    if bidirectional and hidden_dim % 2:
        raise UsageError(
            f"bidirectional needs an even hidden_dim, half of it for each direction, not {hidden_dim}"
        )
    encoder_class, decoder_class = ATTENTIONS[attention]
    if context:
        encoder_class, decoder_class = ContextEncoder, READOUTS[readout]
    sizes = (embedding_dim, hidden_dim, num_layers, dropout, cell)
    encoder = encoder_class(source_size, *sizes, bidirectional=bidirectional)
    decoder = decoder_class(target_size, *sizes, tie_weights=tie_embeddings != "none")
    if tie_embeddings == "all":
        encoder.share_embedding(decoder)
    return Seq2Seq(encoder, decoder)
