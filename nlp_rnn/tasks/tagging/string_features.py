"""The layers of a language model within a tagger."""

from __future__ import annotations

from dataclasses import asdict

import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.string_encoder import StringEncoder
from nlp_rnn.tasks.pretrained import from_pretrained
from nlp_rnn.tasks.tagging.data import TaggingProcessor


def make_string_encoder(processor: TaggingProcessor) -> StringEncoder | None:
    """The layers of the processor's language model; None if it has none.

    Raises:
        UsageError: its cell is unknown.
    """
    sizes, characters = processor.language_model, processor.context_characters
    if sizes is None or characters is None:
        return None
    if sizes.cell not in CELLS:
        raise UsageError(f"language_model: there is no cell {sizes.cell!r:.60}")
    return StringEncoder(len(characters), **asdict(sizes))


@torch.no_grad()
def load_language_model(encoder: StringEncoder, processor: TaggingProcessor) -> None:
    """Copy the weights of the language model that the processor was made with, if it was made just now.

    Args:
        encoder: changed in place.
        processor: names the folder.

    Raises:
        UsageError: the folder is gone, or holds another model by now.
    """
    if processor.language_model_folder is None or encoder.embedding.weight.is_meta:
        return  # the weights are a stored model's, or there are none to fill
    with torch.random.fork_rng(devices=[]):  # so that all other weights do not depend on it
        source = from_pretrained(processor.language_model_folder).encoder()
    characters = processor.context_characters
    if characters is None or source.vocabulary.fingerprint != characters.fingerprint:
        raise UsageError(
            f"language_model {processor.language_model_folder}: it has changed since the data were read"
        )
    encoder.embedding.load_state_dict(source.embedding.state_dict())
    encoder.rnn.load_state_dict(source.rnn.state_dict())
    if encoder.backward_rnn is not None and source.backward_rnn is not None:
        encoder.backward_rnn.load_state_dict(source.backward_rnn.state_dict())
