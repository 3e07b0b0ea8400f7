"""Many to many, aligned: a sequence of words or vectors in, one score per tag and step out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from nlp_rnn.lite.text.strings import Strings
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.crf import LinearChainCRF
from nlp_rnn.models.layers.dropout import Dropout
from nlp_rnn.models.layers.embedding import Embedding
from nlp_rnn.models.regressor import match_dtype
from nlp_rnn.models.string_encoder import StringEncoder
from nlp_rnn.models.word_encoder import WordEncoder


class _TaggerBase(nn.Module):
    """Recurrent layers and a linear layer at every step; the subclass computes their input features."""

    def _add_layers(
        self,
        input_dim: int,
        num_tags: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str,
        bidirectional: bool,
        more_tags: Sequence[int] = (),
        locked: bool = False,
    ) -> None:
        """Add the layers; after the subclass's own, because modules print in this order."""
        self.rnn = recurrent_layer(
            cell,
            input_dim,
            hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
            locked=locked,
        )
        self.fc_out = nn.Linear(hidden_dim * (2 if bidirectional else 1), num_tags)
        self.dropout = Dropout(dropout, locked)
        self.fc_more: Iterable[nn.Module] = ()
        if more_tags:
            inputs = self.fc_out.in_features
            self.fc_more = nn.ModuleList(nn.Linear(inputs, size) for size in more_tags)

    def _output(self, features: Tensor) -> Tensor:
        """[..., D * H] -> [..., num_tags], or the logits of all sets of tags one behind the other."""
        features = self.dropout(features)
        scores: Tensor = self.fc_out(features)
        more = [layer(features) for layer in self.fc_more]
        return torch.cat([scores, *more], -1) if more else scores

    def _scores(self, features: Tensor, lengths: Tensor | None) -> Tensor:
        """[T, B, input_dim], [B] -> [T, B, num_tags]."""
        output, _ = self.rnn(features, lengths=lengths)  # [T, B, D * H]
        return self._output(output)


class SeriesTagger(_TaggerBase):
    """Recurrent layers over vectors, linear at every step. Sequences are time-major, [T, B].

    Args:
        input_dim: size of the input vectors.
        num_tags: number of tags.
        hidden_dim: the hidden size of the recurrent layers, per direction.
        num_layers: number of recurrent layers.
        dropout: probability of dropout between layers and before the output layer.
        cell: a name in `CELLS`.
        bidirectional: whether to read backwards too.

    Raises:
        ValueError: unknown cell.
    """

    def __init__(
        self,
        input_dim: int,
        num_tags: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self._add_layers(
            input_dim=input_dim,
            num_tags=num_tags,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
            bidirectional=bidirectional,
        )

    def forward(self, vectors: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Score the tags of every step.

        Args:
            vectors: [T, B, input_dim], float.
            lengths: [B]; all T if left out.

        Returns:
            Logits [T, B, num_tags]; those behind a sequence's end are undefined.
        """
        return self._scores(match_dtype(self.rnn, vectors), lengths)


class Tagger(_TaggerBase):
    """Word embedding, an optional word encoder over characters, recurrent layers, linear at every step.

    Vectors of a word's affixes may be added to its embedding. Sequences are time-major, [T, B].

    Args:
        vocab_size: number of word ids.
        num_tags: number of tags.
        embedding_dim: size of the word embeddings.
        hidden_dim: the hidden size of the recurrent layers, per direction.
        num_layers: number of recurrent layers.
        dropout: probability of dropout on features, between layers and before the output layer.
        cell: a name in `CELLS`.
        bidirectional: whether to read backwards too.
        character_vocab_size: number of character ids; 0 leaves the word encoder out.
        character_embedding_dim: size of the character embeddings.
        character_hidden_dim: the hidden size of the word encoder, per direction.
        more_tags: the number of tags of each further set of tags, which has an output layer of its own.
        crf: scores sequences of the first set of tags as a whole; `forward` returns its emissions.
        locked: use one mask of `dropout` for all words of a sentence (Gal & Ghahramani 2016).
        num_affixes: A, the affixes of each word. Their vectors begin as zeros, so that one that training
            never sees adds nothing.
        affix_buckets: number of ids of each of them.
        string_encoder: a language model that reads the sentence; its features stand behind the others.

    Raises:
        ValueError: unknown cell.
    """

    def __init__(
        self,
        vocab_size: int,
        num_tags: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
        bidirectional: bool = True,
        character_vocab_size: int = 0,
        character_embedding_dim: int = 32,
        character_hidden_dim: int = 64,
        more_tags: Sequence[int] = (),
        crf: LinearChainCRF | None = None,
        locked: bool = False,
        num_affixes: int = 0,
        affix_buckets: int = 0,
        string_encoder: StringEncoder | None = None,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(vocab_size, embedding_dim)
        self.affix_embedding, self.num_affixes = None, num_affixes
        if num_affixes:
            self.affix_embedding = Embedding(num_affixes * affix_buckets, embedding_dim)
            nn.init.zeros_(self.affix_embedding.weight)
        self.word_encoder = None
        input_dim = embedding_dim
        if character_vocab_size:
            self.word_encoder = WordEncoder(
                character_vocab_size, character_embedding_dim, character_hidden_dim, cell
            )
            input_dim += self.word_encoder.output_dim
        self.string_encoder = string_encoder
        if string_encoder is not None:
            input_dim += string_encoder.output_dim
        self._add_layers(
            input_dim=input_dim,
            num_tags=num_tags,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
            bidirectional=bidirectional,
            more_tags=more_tags,
            locked=locked,
        )
        self.sizes = [num_tags, *more_tags]
        if crf is not None:
            self.crf = crf

    def forward(
        self,
        words: Tensor,
        lengths: Tensor | None = None,
        characters: Tensor | None = None,
        character_lengths: Tensor | None = None,
        spelling: Tensor | None = None,
        affixes: Tensor | None = None,
        strings: Strings | None = None,
    ) -> Tensor:
        """Score the tags of every word.

        Args:
            words: [T, B] int64 ids.
            lengths: [B]; all T if left out.
            characters: [C, U] int64 ids of the U different words of the batch; needed by the word encoder, as
                the next two.
            character_lengths: [U].
            spelling: [T, B] int64, the index among the U words of each word.
            affixes: [T, A, B] int64, the ids of the A affixes of each word; needed if they are read.
            strings: the characters of the sentences; needed by the string encoder.

        Returns:
            Logits [T, B, num_tags], followed in the last dimension by those of `more_tags`; those behind a
            sequence's end are undefined.

        Raises:
            ValueError: the tagger reads characters, affixes or strings, and got none.
        """
        features = self.character_features(characters, character_lengths, spelling, strings)
        return self.score(words, features, affixes, lengths)

    def character_features(
        self,
        characters: Tensor | None = None,
        character_lengths: Tensor | None = None,
        spelling: Tensor | None = None,
        strings: Strings | None = None,
    ) -> Tensor | None:
        """What the word encoder and the string encoder make of the words.

        Nothing in it is random, so passes over one batch can share it.

        Args:
            characters: as in `forward`.
            character_lengths: as in `forward`.
            spelling: as in `forward`.
            strings: as in `forward`.

        Returns:
            [T, B, F], or None if the tagger has neither.

        Raises:
            ValueError: the tagger reads characters or strings, and got none.
        """
        features = []
        if self.word_encoder is not None:
            if characters is None or character_lengths is None or spelling is None:
                raise ValueError("this tagger reads characters: give characters, lengths and spelling")
            vectors = self.word_encoder(characters, character_lengths)  # [U, 2 * character_hidden_dim]
            features.append(vectors[spelling])
        if self.string_encoder is not None:
            if strings is None:
                raise ValueError("this tagger reads the characters of sentences: give strings")
            features.append(self.string_encoder(strings))
        return torch.cat(features, -1) if features else None

    def score(
        self,
        words: Tensor,
        features: Tensor | None,
        affixes: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Score the tags of every word.

        Args:
            words: [T, B] int64 ids.
            features: what `character_features` returned.
            affixes: as in `forward`.
            lengths: as in `forward`.

        Returns:
            As `forward`.

        Raises:
            ValueError: the tagger reads affixes, and got none.
        """
        return self._scores(self.dropout(self._features(words, features, affixes)), lengths)

    @property
    def bidirectional(self) -> bool:
        """Whether it reads backwards too."""
        return self.rnn.bidirectional

    def initial_state(self, batch: int) -> State:
        """The state before the first `step` of `batch` sequences."""
        return self.rnn.initial_state(batch, self.fc_out.bias)

    def step(
        self,
        words: Tensor,
        state: State,
        characters: Tensor | None = None,
        character_lengths: Tensor | None = None,
        spelling: Tensor | None = None,
        affixes: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Read one more word of each sequence.

        Args:
            words: [B] int64 ids.
            state: that of `initial_state`, or of the step before.
            characters: as in `forward`.
            character_lengths: as in `forward`.
            spelling: [B] int64.
            affixes: [A, B] int64.

        Returns:
            The words' logits [B, num_tags], followed by those of `more_tags`; and the new state.

        Raises:
            ValueError: the layers are bidirectional, there is a string encoder, or the tagger reads
                characters, or affixes, and got none.
        """
        if self.rnn.bidirectional:
            raise ValueError("a bidirectional tagger cannot run step by step")
        if self.string_encoder is not None:
            raise ValueError("a tagger with a language model cannot run step by step")
        spelling = None if spelling is None else spelling[None]
        affixes = None if affixes is None else affixes[None]
        features = self.character_features(characters, character_lengths, spelling)
        output, state = self.rnn(self.dropout(self._features(words[None], features, affixes)), state)
        return self._output(output[0]), state

    def _features(self, words: Tensor, features: Tensor | None, affixes: Tensor | None) -> Tensor:
        """The input of the recurrent layers, [T, B, input_dim]."""
        embedded: Tensor = self.embedding(words)  # [T, B, E]
        if self.affix_embedding is not None:
            if affixes is None:
                raise ValueError("this tagger reads affixes: give their ids")
            for ids in affixes.unbind(1):
                embedded = embedded + self.affix_embedding(ids)
        return embedded if features is None else torch.cat([embedded, features.to(embedded.dtype)], dim=-1)
