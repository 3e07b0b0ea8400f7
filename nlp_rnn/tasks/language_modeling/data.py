"""Language modelling: texts, each token of which is to be foretold from those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nlp_rnn.data.batching import IGNORED, Batch, Batching, Rows, pad
from nlp_rnn.data.bptt import RunningText, StreamSampler
from nlp_rnn.data.corpus.columns import Texts
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.module import CorpusData, encode
from nlp_rnn.data.processor import Processor, collect_warnings, truncate, warn_unknown
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, Vocabulary, VocabularySettings
from nlp_rnn.settings import Columns, MaxLength


@dataclass
class LanguageModelingBatch(Batch):
    """Texts, or the next window of running text."""

    tokens: Tensor
    """[T, B] int64, the mark of beginning before each text, padded with 0; `labels` are one token ahead, and
    a text's last one the mark of its end."""
    characters: Tensor | None = None
    """[B] int64, in how many characters what ends here was written, and one more for each end."""
    fresh: bool = True
    """Whether reading begins here; if not, it goes on where the batch before this one ended."""


@dataclass
class LanguageModelingProcessor(Processor):
    """Texts to ids; the one place where they are shifted.

    With a `window` a corpus is running text: its rows end to end, `window` steps of several streams a batch.
    Else each row is read by itself.
    """

    features = {"token_ids": pa.list_(pa.int32()), "characters": pa.int32()}
    length_columns = ("token_ids",)

    tokens: Vocabulary
    window: MaxLength | None = None
    max_length: MaxLength = 256

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        for text in inputs:
            warn_unknown(self.tokens.unknown(text))
        return {"prompt": list(inputs)}

    def split_stable_prefix(self, pending: str | None, piece: str) -> tuple[str, str | None]:
        return self.tokens.split_stable_prefix(pending, piece)

    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if "text" not in rows:  # of a beginning the end matters most
            whole = self.tokens.encode(rows["prompt"])
            kept = [len(ids) for ids in truncate(whole, self.max_length, "beginnings")]
            return {"token_ids": [ids[len(ids) - n :] for ids, n in zip(whole, kept, strict=True)]}
        texts = [join_words(text) for text in rows["text"]]
        ids = self.tokens.encode(texts)
        sizes = [len(text) for text in texts]
        if self.window is None:
            whole, ids = ids, truncate(ids, self.max_length, "texts")
            for row, (before, after) in enumerate(zip(whole, ids, strict=True)):
                if len(after) < len(before):
                    sizes[row] = self.tokens.end(texts[row], len(after))
        return {"token_ids": ids, "characters": [size + 1 for size in sizes]}

    def collate(self, rows: dict[str, list[Any]]) -> LanguageModelingBatch:
        if "span" in rows:
            ids, lengths = torch.from_numpy(rows["span"]).long(), torch.from_numpy(rows["lengths"])
        else:  # the mark of another text's beginning is that of this one's end
            spans = [[BOS, *ids, BOS] for ids in rows["token_ids"]]
            ids, ends = pad(spans)  # [T + 1, B]
            lengths = ends - 1
        outside = torch.arange(len(ids) - 1)[:, None] >= lengths  # [T, B]
        batch = LanguageModelingBatch(rows["row"], lengths, ids[:-1].masked_fill(outside, PAD))
        if "characters" in rows:
            labels = ids[1:].masked_fill(ids[1:] == BOS, EOS)
            batch.labels = labels.masked_fill(outside, IGNORED)
            batch.characters = torch.as_tensor(rows["characters"], dtype=torch.int64)
        batch.fresh = bool(rows.get("fresh", True))
        return batch

    def loader(
        self, rows: Rows, batching: Batching, shuffle: bool = False, rank: int = 0, world_size: int = 1
    ) -> DataLoader:
        """Batches of rows as other tasks have them; or the windows of their running text, in order."""
        if self.window is None:
            return super().loader(rows, batching, shuffle, rank, world_size)
        text = RunningText(rows)
        sampler = StreamSampler(len(text), self.window, batching, shuffle, rank, world_size)
        return self._make_loader(text, sampler, batching)


class LanguageModelingData(CorpusData[LanguageModelingProcessor]):
    """Texts from any corpus.

    Args:
        corpus: where texts come from.
        text: name of the column of texts; of several, the first that there is. Words in a list are put
            together with spaces between them.
        vocabulary: how the vocabulary is made.
        batching: how texts are put together; with a window, how many streams of text are read at once.
        window: read the corpus as running text, so many tokens before each step of training; what was read
            before is remembered, though no gradient goes back to it (truncated backpropagation through
            time, Williams & Peng 1990). Each text by itself if left out.
        max_length: longest text, in tokens; what is beyond it is cut off, but not from running text. Of a
            text to be continued so many last tokens are read.
    """

    processor_class = LanguageModelingProcessor

    def __init__(
        self,
        corpus: Corpus = Corpus(),
        text: Columns = ("text", "txt", "sentence", "document", "review"),
        vocabulary: VocabularySettings = VocabularySettings(),
        batching: Batching = Batching(size=64),
        window: MaxLength | None = None,
        max_length: MaxLength = 256,
    ) -> None:
        super().__init__(corpus, batching)
        self.text = text
        self.vocabulary = vocabulary
        self.window = window
        self.max_length = max_length

    def columns(self) -> Mapping[str, str | Sequence[str]]:
        return {"text": Texts((self.text,) if isinstance(self.text, str) else self.text or ())}

    def make_processor(self, train: Dataset) -> LanguageModelingProcessor:
        tokens = Vocabulary.train(map(join_words, train["text"]), self.vocabulary)
        return LanguageModelingProcessor(tokens, self.window, self.max_length)

    def predict_dataloader(self) -> DataLoader:
        """Of test, each text as the beginning of one: no running text, and its last tokens if it is long."""
        from datasets import Dataset

        self._rows("test")  # is there
        processor = replace(self.processor, window=None)
        with collect_warnings():
            prompts = processor.rows([join_words(text) for text in self.load()["test"]["text"]])
            rows = Rows(encode(Dataset.from_dict(prompts), processor))
        return self._loader(rows, processor)


def join_words(text: str | Sequence[str]) -> str:
    """A text as it is written, of words that it may be given as."""
    return text if isinstance(text, str) else " ".join(text)
