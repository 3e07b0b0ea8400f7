"""Stanza's part-of-speech tagger, trained from scratch (`--no_pretrain`).

It trains as in `stanza.models.tagger`, and tags as the POS processor of its pipeline does. Of its three kinds
of tags it learns only UPOS.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import peer_worker
import stanza
import torch
from stanza.models.common.doc import Document
from stanza.models.pos.data import Dataset, ShuffledDataset
from stanza.models.pos.trainer import Trainer
from stanza.models.tagger import parse_args


def make_document(rows: list[peer_worker.Sentence], tagged: bool) -> Document:
    """Make Stanza's document of sentences, with or without their tags."""
    return Document([
        [{"id": i, "text": word, **({"upos": tag} if tagged else {})} for i, (word, tag) in enumerate(row, 1)]
        for row in (zip(*sentence, strict=True) for sentence in rows)
    ])  # fmt: skip


def main() -> None:
    """Prepare the model and serve turns."""
    arguments = peer_worker.parse_arguments()
    torch.manual_seed(0)
    random.seed(0)
    size = peer_worker.TAGGING
    options = {
        "word_emb_dim": size["embedding"], "hidden_dim": size["hidden"],
        "char_emb_dim": size["character_embedding"],
        "char_hidden_dim": size["character_hidden"], "num_layers": 1, "word_cutoff": 2,
    }  # fmt: skip
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    settings = parse_args(
        ["--no_pretrain", "--char_bidirectional", "--shorthand", "en_ewt", "--lang", "en", *flags]
    )
    train = make_document(peer_worker.read_sentences(arguments.data / "train.tsv"), tagged=True)
    vocabulary = Dataset.init_vocab([train], settings)
    rows = Dataset(train, settings, None, vocab=vocabulary, evaluation=False)
    trainer = Trainer(args=settings, vocab=vocabulary, pretrain=None, device="cpu")

    def batches(batch_size: int) -> Iterator[Any]:
        loader = ShuffledDataset([rows], batch_size)
        return itertools.chain.from_iterable(itertools.repeat(loader))

    def train_steps(count: int, source: Iterator[Any]) -> tuple[int, int]:
        sentences = tokens = 0
        for batch in itertools.islice(source, count):
            trainer.update(batch)
            sentences += len(batch.lens)
            tokens += int(sum(batch.lens))
        return sentences, tokens

    if arguments.job == "train":
        source = batches(arguments.batch)
        train_steps(3, source)
        peer_worker.serve(stanza.__version__, "sentences", lambda count: train_steps(count, source))
        return
    train_steps(arguments.steps, batches(size["batch"]))
    test = peer_worker.repeat_forever(peer_worker.read_sentences(arguments.data / "test.tsv"))

    def tag(count: int) -> tuple[int, int]:
        sentences = make_document(list(itertools.islice(test, count)), tagged=False)
        data = Dataset(sentences, settings, None, vocab=vocabulary, evaluation=True, sort_during_eval=True)
        with torch.no_grad():
            loader = data.to_length_limited_loader(arguments.batch, settings["batch_maximum_tokens"])
            words = sum(len(tags) for batch in loader for tags in trainer.predict(batch))
        return words, words

    tag(arguments.batch)
    peer_worker.serve(stanza.__version__, "words", tag)


if __name__ == "__main__":
    main()
