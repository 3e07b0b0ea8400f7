"""What people copy: random batches padded to the longest, one decoder call a step, packed BiLSTMs.

Written afresh from its description, of plain `nn` modules. Its loops read the same ids as ours, so that both
do the same work.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from nlp_rnn.data.vocabulary import BOS, EOS, PAD


class Encoder(nn.Module):
    def __init__(self, words: int, embedding: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding)
        self.rnn = nn.LSTM(embedding, hidden, layers, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """[S, B] -> hidden and cell, [layers, B, H] each."""
        _, (hidden, cell) = self.rnn(self.dropout(self.embedding(source)))
        return hidden, cell


class Decoder(nn.Module):
    def __init__(self, words: int, embedding: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.words = words
        self.embedding = nn.Embedding(words, embedding)
        self.rnn = nn.LSTM(embedding, hidden, layers, dropout=dropout)
        self.fc_out = nn.Linear(hidden, words)
        self.dropout = nn.Dropout(dropout)

    def forward(self, token: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step: [B] -> scores [B, words], and the new hidden and cell."""
        embedded = self.dropout(self.embedding(token.unsqueeze(0)))
        output, (hidden, cell) = self.rnn(embedded, (hidden, cell))
        return self.fc_out(output.squeeze(0)), hidden, cell


class Seq2Seq(nn.Module):
    """Step by step, shown the true word or its own at the toss of a coin."""

    def __init__(
        self, source_words: int, target_words: int, embedding: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = Encoder(source_words, embedding, hidden, layers, dropout)
        self.decoder = Decoder(target_words, embedding, hidden, layers, dropout)

    def forward(self, source: Tensor, target: Tensor, teacher_forcing: float = 0.5) -> Tensor:
        """[S, B], [T, B] -> scores [T, B, words], the first row of them nothing."""
        steps, batch = target.shape
        outputs = torch.zeros(steps, batch, self.decoder.words, device=source.device)
        hidden, cell = self.encoder(source)
        token = target[0]
        for step in range(1, steps):
            output, hidden, cell = self.decoder(token, hidden, cell)
            outputs[step] = output
            token = target[step] if random.random() < teacher_forcing else output.argmax(1)
        return outputs

    def loss(self, batch: dict[str, Any], criterion: nn.Module) -> Tensor:
        output = self(batch["source"], batch["target"])
        return criterion(output[1:].reshape(-1, output.size(-1)), batch["target"][1:].reshape(-1))

    @torch.no_grad()
    def translate(self, source: list[int], most: int, device: str = "cpu") -> list[int]:
        """One sentence, one step at a time: ids in, ids out, without beginning and end."""
        hidden, cell = self.encoder(torch.tensor(source, device=device).unsqueeze(1))
        tokens = [BOS]
        for _ in range(most):
            output, hidden, cell = self.decoder(torch.tensor([tokens[-1]], device=device), hidden, cell)
            tokens.append(int(output.argmax(-1).item()))
            if tokens[-1] == EOS:
                return tokens[1:-1]
        return tokens[1:]


class Classifier(nn.Module):
    """A BiLSTM over packed texts; or over padded ones, wrong at their ends."""

    def __init__(
        self, words: int, classes: int, embedding: int, hidden: int, layers: int, packed: bool = True
    ) -> None:
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(words, embedding, padding_idx=PAD)
        self.rnn = nn.LSTM(embedding, hidden, layers, bidirectional=True, dropout=0.5)
        self.fc_out = nn.Linear(2 * hidden, classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        embedded = self.dropout(self.embedding(tokens))
        if self.packed:
            embedded = pack_padded_sequence(embedded, lengths, enforce_sorted=False)
        _, (hidden, _) = self.rnn(embedded)
        return self.fc_out(self.dropout(torch.cat([hidden[-2], hidden[-1]], dim=-1)))

    def loss(self, batch: dict[str, Any], criterion: nn.Module) -> Tensor:
        return criterion(self(batch["tokens"], batch["lengths"]), batch["label"])


class Tagger(nn.Module):
    """A BiLSTM over words, beside them a BiLSTM over the letters of each, a sentence at a time."""

    def __init__(
        self,
        words: int,
        characters: int,
        tags: int,
        embedding: int,
        hidden: int,
        character_embedding: int,
        character_hidden: int,
        packed: bool = True,
    ) -> None:
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(words, embedding, padding_idx=PAD)
        self.characters = nn.Embedding(characters, character_embedding, padding_idx=PAD)
        self.character_rnn = nn.LSTM(character_embedding, character_hidden, bidirectional=True)
        self.rnn = nn.LSTM(embedding + 2 * character_hidden, hidden, bidirectional=True)
        self.fc_out = nn.Linear(2 * hidden, tags)
        self.dropout = nn.Dropout(0.5)

    def spell(self, words: list[Tensor]) -> Tensor:
        """The letters of a sentence's words -> their vectors [words, 2 * character_hidden]."""
        letters: Any = self.characters(pad_sequence(words))
        if self.packed:
            counts = torch.tensor([len(word) for word in words])
            letters = pack_padded_sequence(letters, counts, enforce_sorted=False)
        _, (hidden, _) = self.character_rnn(letters)
        return torch.cat([hidden[0], hidden[1]], dim=-1)

    def forward(self, tokens: Tensor, lengths: Tensor, spelled: list[list[Tensor]]) -> Tensor:
        vectors = pad_sequence([self.spell(words) for words in spelled])
        features: Any = self.dropout(torch.cat([self.embedding(tokens), vectors], dim=-1))
        if self.packed:
            features = pack_padded_sequence(features, lengths, enforce_sorted=False)
        output, _ = self.rnn(features)
        if self.packed:
            output, _ = pad_packed_sequence(output)
        return self.fc_out(self.dropout(output))

    def loss(self, batch: dict[str, Any], criterion: nn.Module) -> Tensor:
        scores = self(batch["tokens"], batch["lengths"], batch["spelled"])
        return criterion(scores.reshape(-1, scores.size(-1)), batch["tags"].reshape(-1))


def random_batches(count: int, size: int) -> Iterator[list[int]]:
    """Row numbers in random order, batch by batch, epoch after epoch."""
    while True:
        order = torch.randperm(count).tolist()
        for start in range(0, count, size):
            yield order[start : start + size]


def train_step(model: Any, batch: dict[str, Any], optimizer: torch.optim.Optimizer, criterion: Any) -> float:
    """Clear, forward, backward, clip, move."""
    optimizer.zero_grad()
    loss = model.loss(batch, criterion)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    return loss.item()
