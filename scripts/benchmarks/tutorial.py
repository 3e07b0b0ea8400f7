"""A typical tutorial: random, padded batches, one decoder call per step, packed BiLSTMs.

Written from scratch in plain `nn` modules, as popular tutorials describe these models. Shapes: T steps, B
sequences, H hidden units.
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
    """Reads the source."""

    def __init__(
        self, vocabulary_size: int, embedding: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.rnn = nn.LSTM(embedding, hidden, layers, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Read a source [S, B]; return hidden and cell state, each [layers, B, H]."""
        _, (hidden, cell) = self.rnn(self.dropout(self.embedding(source)))
        return hidden, cell


class Decoder(nn.Module):
    """Writes the target, one token per call."""

    def __init__(
        self, vocabulary_size: int, embedding: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.rnn = nn.LSTM(embedding, hidden, layers, dropout=dropout)
        self.fc_out = nn.Linear(hidden, vocabulary_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, token: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute one step: token [B] -> logits [B, vocabulary], new hidden and cell state."""
        embedded = self.dropout(self.embedding(token.unsqueeze(0)))
        output, (hidden, cell) = self.rnn(embedded, (hidden, cell))
        return self.fc_out(output.squeeze(0)), hidden, cell


class Seq2Seq(nn.Module):
    """Encoder and decoder. Each step sees the true token with probability `teacher_forcing`, else its own."""

    def __init__(
        self, source_size: int, target_size: int, embedding: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = Encoder(source_size, embedding, hidden, layers, dropout)
        self.decoder = Decoder(target_size, embedding, hidden, layers, dropout)

    def forward(self, source: Tensor, target: Tensor, teacher_forcing: float = 0.5) -> Tensor:
        """Compute logits [T, B, vocabulary] of a source [S, B] and a target [T, B]; step 0 is zeros."""
        steps, batch = target.shape
        outputs = torch.zeros(steps, batch, self.decoder.vocabulary_size, device=source.device)
        hidden, cell = self.encoder(source)
        token = target[0]
        for step in range(1, steps):
            output, hidden, cell = self.decoder(token, hidden, cell)
            outputs[step] = output
            token = target[step] if random.random() < teacher_forcing else output.argmax(1)
        return outputs

    def loss(self, batch: dict[str, Any], criterion: nn.Module) -> Tensor:
        """Compute the loss of a batch of `tutorial_batch`."""
        output = self(batch["source"], batch["target"])
        return criterion(output[1:].reshape(-1, output.size(-1)), batch["target"][1:].reshape(-1))

    @torch.no_grad()
    def translate(self, source: list[int], max_length: int, device: str = "cpu") -> list[int]:
        """Decode the ids of one sentence greedily; return ids without BOS and EOS."""
        hidden, cell = self.encoder(torch.tensor(source, device=device).unsqueeze(1))
        tokens = [BOS]
        for _ in range(max_length):
            output, hidden, cell = self.decoder(torch.tensor([tokens[-1]], device=device), hidden, cell)
            tokens.append(int(output.argmax(-1).item()))
            if tokens[-1] == EOS:
                return tokens[1:-1]
        return tokens[1:]


class Classifier(nn.Module):
    """A BiLSTM over texts.

    Without `packed` it reads the padding too, so the last states of short texts are wrong.
    """

    def __init__(
        self,
        vocabulary_size: int,
        num_classes: int,
        embedding: int,
        hidden: int,
        layers: int,
        packed: bool = True,
    ) -> None:
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(vocabulary_size, embedding, padding_idx=PAD)
        self.rnn = nn.LSTM(embedding, hidden, layers, bidirectional=True, dropout=0.5)
        self.fc_out = nn.Linear(2 * hidden, num_classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits [B, classes] of tokens [T, B] with lengths [B]."""
        embedded = self.dropout(self.embedding(tokens))
        if self.packed:
            embedded = pack_padded_sequence(embedded, lengths, enforce_sorted=False)
        _, (hidden, _) = self.rnn(embedded)
        return self.fc_out(self.dropout(torch.cat([hidden[-2], hidden[-1]], dim=-1)))

    def loss(self, batch: dict[str, Any], criterion: nn.Module) -> Tensor:
        """Compute the loss of a batch of `tutorial_batch`."""
        return criterion(self(batch["tokens"], batch["lengths"]), batch["label"])


class Tagger(nn.Module):
    """A BiLSTM over words, with a BiLSTM over the characters of each word, computed sentence by sentence."""

    def __init__(
        self,
        num_words: int,
        num_characters: int,
        num_tags: int,
        embedding: int,
        hidden: int,
        character_embedding: int,
        character_hidden: int,
        packed: bool = True,
    ) -> None:
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(num_words, embedding, padding_idx=PAD)
        self.characters = nn.Embedding(num_characters, character_embedding, padding_idx=PAD)
        self.character_rnn = nn.LSTM(character_embedding, character_hidden, bidirectional=True)
        self.rnn = nn.LSTM(embedding + 2 * character_hidden, hidden, bidirectional=True)
        self.fc_out = nn.Linear(2 * hidden, num_tags)
        self.dropout = nn.Dropout(0.5)

    def encode_words(self, words: list[Tensor]) -> Tensor:
        """Encode the characters of each word of a sentence; return [words, 2 * character_hidden]."""
        characters: Any = self.characters(pad_sequence(words))
        if self.packed:
            counts = torch.tensor([len(word) for word in words])
            characters = pack_padded_sequence(characters, counts, enforce_sorted=False)
        _, (hidden, _) = self.character_rnn(characters)
        return torch.cat([hidden[0], hidden[1]], dim=-1)

    def forward(self, tokens: Tensor, lengths: Tensor, spelling: list[list[Tensor]]) -> Tensor:
        """Compute logits [T, B, tags] of words [T, B] with lengths [B] and the characters of each word."""
        characters = pad_sequence([self.encode_words(words) for words in spelling])
        features: Any = self.dropout(torch.cat([self.embedding(tokens), characters], dim=-1))
        if self.packed:
            features = pack_padded_sequence(features, lengths, enforce_sorted=False)
        output, _ = self.rnn(features)
        if self.packed:
            output, _ = pad_packed_sequence(output)
        return self.fc_out(self.dropout(output))

    def loss(self, batch: dict[str, Any], criterion: nn.Module) -> Tensor:
        """Compute the loss of a batch of `tutorial_batch`."""
        logits = self(batch["tokens"], batch["lengths"], batch["spelling"])
        return criterion(logits.reshape(-1, logits.size(-1)), batch["tags"].reshape(-1))


def random_batches(count: int, size: int) -> Iterator[list[int]]:
    """Yield batches of row numbers in random order, epoch after epoch."""
    while True:
        order = torch.randperm(count).tolist()
        for start in range(0, count, size):
            yield order[start : start + size]


def train_step(model: Any, batch: dict[str, Any], optimizer: torch.optim.Optimizer, criterion: Any) -> float:
    """Compute one training step; return the loss."""
    optimizer.zero_grad()
    loss = model.loss(batch, criterion)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    return loss.item()
