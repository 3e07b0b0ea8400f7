"""The character language model whose hidden states are input features of a tagger."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.folder import check_is_model, current_folder, read_config
from nlp_rnn.settings import LayerSize, NumLayers, Settings


@dataclass(frozen=True)
class LanguageModelSizes(Settings):
    """The sizes of a language model.

    Args:
        embedding_dim: size of the character embedding.
        hidden_dim: size of the recurrent state.
        num_layers: number of recurrent layers.
        cell: the recurrent cell.
        bidirectional: whether it has layers that read backward too.
    """

    embedding_dim: LayerSize
    hidden_dim: LayerSize
    num_layers: NumLayers
    cell: str
    bidirectional: bool = False


def read_language_model(source: str) -> tuple[Vocabulary, LanguageModelSizes]:
    """The vocabulary and the sizes of a language model of characters.

    Args:
        source: its model folder.

    Raises:
        UsageError: it is no folder of such a model, or its weights are int8.
    """
    where = f"language_model {source}"
    try:
        folder = current_folder(Path(source))
        check_is_model(source, folder)
        config, vocabularies = read_config(folder, folder)
    except UsageError as error:
        raise UsageError(f"language_model: {error}") from error
    tokens = vocabularies.get("tokens")
    if config.get("task") != "language_modeling" or tokens is None or tokens.level != "char":
        raise UsageError(
            f"{where}: not a language model of characters: train with data.vocabulary.level char"
        )
    if config.get("weights"):
        raise UsageError(f"{where}: its weights are int8; give the model that was quantized")
    settings: dict[str, Any] = config["settings"]
    names = [item.name for item in fields(LanguageModelSizes)]
    sizes = LanguageModelSizes(**{name: settings[name] for name in names if name in settings})
    return Vocabulary.from_json(config["processor"]["tokenizers"]["tokens"]), sizes
