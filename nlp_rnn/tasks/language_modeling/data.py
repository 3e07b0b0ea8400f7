"""Language modeling data: texts in which each token is predicted from those before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED, Batch, Batching, pad
from nlp_rnn.data.bptt import RunningText, StreamSampler
from nlp_rnn.data.column_values import ColumnValues
from nlp_rnn.data.corpus.columns import Texts
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.corpus_data import CorpusData
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.notices import collect_warnings, truncate
from nlp_rnn.lite.text.readers import PromptReader
from nlp_rnn.settings import Columns, MaxLength


@dataclass
class LanguageModelingBatch(Batch):
    """A batch of texts, or the next window of running text."""

    tokens: Tensor
    """[T, B] int64: BOS and the ids of a text, padded with 0. `labels` are [T, B], one token ahead: the ids
    and EOS."""
    characters: Tensor | None = None
    """[B] int64: the number of characters of the texts that end here, plus one for each EOS."""
    backward_tokens: Tensor | None = None
    """[T, B] int64: the texts read backward, as `tokens`: BOS and the ids of a text from its end. Of running
    text it is another part: the streams read all of it backward."""
    backward_labels: Tensor | None = None
    """[T, B] int64: what follows each of `backward_tokens`, as `labels`."""
    fresh: bool = True
    """Whether the texts start here; if not, they continue the batch before this one."""


@dataclass
class LanguageModelingProcessor(PromptReader, Processor):
    """Texts to ids, and to labels that are one token ahead.

    With a `window`, a corpus is running text: all rows joined, and each batch has `window` steps of several
    streams. Otherwise each row is read by itself.
    """

    input_columns = ("text",)
    features = {"token_ids": pa.list_(pa.int32()), "characters": pa.int32()}
    id_columns = MappingProxyType({"token_ids": "tokens"})

    tokens: Vocabulary
    window: MaxLength | None = None
    max_length: MaxLength = 256

    @override
    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        (count,) = self.count_unknown(rows)
        if "prompt" not in rows:
            return list(islice(self.tokens.unknown(join_words(rows["text"][0])), count))
        unknown = list(self.tokens.unknown(rows["prompt"][0]))
        return unknown[len(unknown) - count :]  # the end of a long prompt is read

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if "text" not in rows:
            return self.encode_inputs(rows)
        texts = [join_words(text) for text in rows["text"]]
        ids = self.tokens.encode(texts, None if self.window else self.max_length)
        sizes = [len(text) for text in texts]
        if self.window is None:
            whole, ids = ids, truncate(ids, self.max_length, "texts")
            for row, (before, after) in enumerate(zip(whole, ids, strict=True)):
                if len(after) < len(before):
                    sizes[row] = self.tokens.end(texts[row], len(after))  # characters that are left
        return {"token_ids": ids, "characters": [size + 1 for size in sizes]}

    @override
    def collate(self, rows: dict[str, list[Any]]) -> LanguageModelingBatch:
        if "span" in rows:
            ids, lengths = torch.from_numpy(rows["span"]).long(), torch.from_numpy(rows["lengths"])
            backward = torch.from_numpy(rows["backward_span"]).long()
        else:  # as in running text, the BOS of a next text stands for the EOS of this one
            spans = [[BOS, *ids, BOS] for ids in rows["token_ids"]]
            ids, ends = pad(spans)  # [T + 1, B]
            lengths = ends - 1
            backward = ids.gather(0, (lengths - torch.arange(len(ids))[:, None]).clamp(min=0))
        outside = torch.arange(len(ids) - 1)[:, None] >= lengths  # [T, B]
        batch = LanguageModelingBatch(rows["row"], lengths, _inputs(ids, outside))
        if "characters" in rows:
            batch.labels = _labels(ids, outside)
            batch.backward_tokens = _inputs(backward, outside)
            batch.backward_labels = _labels(backward, outside)
            batch.characters = torch.as_tensor(rows["characters"], dtype=torch.int64)
        batch.fresh = bool(rows.get("fresh", True))
        return batch

    @override
    def loader(
        self,
        rows: Rows,
        batching: Batching,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
        accumulated: int = 1,
    ) -> DataLoader[dict[str, list[Any]]]:
        """Make a loader of batches of rows or, with a `window`, of the windows of running text in order."""
        if self.window is None:
            return super().loader(rows, batching, shuffle, rank, world_size, accumulated)
        text = RunningText(rows)
        sampler = StreamSampler(len(text), self.window, batching, shuffle, rank, world_size)
        return self._make_loader(text, sampler, batching)


class LanguageModelingData(CorpusData[LanguageModelingProcessor]):
    """Texts from any corpus.

    Args:
        corpus: where texts come from.
        text: name of the column of texts; of several names, the first that exists. Lists of words are joined
            with spaces.
        vocabulary: how the vocabulary is made.
        batching: how texts are batched; with a window, `size` is the number of parallel streams of text.
        window: tokens per training step when the corpus is read as running text. The state is carried from
            window to window, but no gradient (truncated backpropagation through time, Williams & Peng
            1990). If left out, each text is read by itself.
        max_length: maximum number of tokens per text; the rest is cut off, but not from running text. Of a
            prompt, the last tokens are kept.
        extra: further corpora to train on; as running text, after that of `corpus` and with weight 1. The
            vocabulary is counted over their texts too.

    Raises:
        UsageError: running text would have weights, or other subwords in each epoch.
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
        extra: Sequence[ExtraCorpus] = (),
    ) -> None:
        super().__init__(corpus, batching, extra)
        if window is not None and any(corpus.weight != 1 for corpus in extra):
            raise UsageError("extra: running text has no weights: set each weight to 1, or leave out window")
        if window is not None and batching.subword_dropout:
            raise UsageError(
                "batching.subword_dropout is for texts read by themselves: leave it out, or window"
            )
        self.text = text
        self.vocabulary = vocabulary
        self.window = window
        self.max_length = max_length

    @override
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        return {"text": Texts((self.text,) if isinstance(self.text, str) else self.text or ())}

    @override
    def make_processor(self, train: Dataset) -> LanguageModelingProcessor:
        texts = ColumnValues(train, "text", sample=self.vocabulary.sample)
        tokens = Vocabulary.train(_Joined(texts), self.vocabulary)
        return LanguageModelingProcessor(tokens, self.window, self.max_length)

    @override
    def predict_dataloader(self) -> DataLoader[dict[str, list[Any]]]:
        """Make a loader of the test texts as prompts: each by itself, and truncated at its start."""
        from datasets import Dataset

        self._rows("test")  # raises an error if there is no test split
        processor = replace(self.processor, window=None)
        with collect_warnings():
            prompts = processor.rows([join_words(text) for text in self.load()["test"]["text"]])
            rows = Rows(encode(Dataset.from_dict(prompts), processor))
        return self._loader(rows, processor)


def _inputs(ids: Tensor, outside: Tensor) -> Tensor:
    """What a model reads of ids [T + 1, B]: all but the last, [T, B]."""
    return ids[:-1].masked_fill(outside, PAD)


def _labels(ids: Tensor, outside: Tensor) -> Tensor:
    """What follows each of the ids [T + 1, B], [T, B]; the BOS of a next text stands for EOS."""
    return ids[1:].masked_fill(ids[1:] == BOS, EOS).masked_fill(outside, IGNORED)


class _Joined(Iterable[str]):
    """Texts, whose words are joined; they can be read several times."""

    def __init__(self, texts: Iterable[str | Sequence[str]]) -> None:
        self._texts = texts

    @override
    def __iter__(self) -> Iterator[str]:
        return map(join_words, self._texts)


def join_words(text: str | Sequence[str]) -> str:
    """Return a text as it is, and words joined with spaces."""
    return text if isinstance(text, str) else " ".join(text)
