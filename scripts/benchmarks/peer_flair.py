"""Flair's `SequenceTagger` from scratch: word and letter embeddings, a BiLSTM, softmax instead of its
default CRF. The step is that of `ModelTrainer.train_custom` without its logging."""

import itertools
import random
from collections import Counter

import flair
import peer_worker
import torch
from flair.data import Dictionary, Sentence
from flair.embeddings import CharacterEmbeddings, OneHotEmbeddings, StackedEmbeddings
from flair.models import SequenceTagger
from flair.training_utils import store_embeddings


def dictionary(counts: Counter[str], at_least: int, unknown: bool = True) -> Dictionary:
    made = Dictionary(add_unk=unknown)
    for item, count in counts.most_common():
        if count >= at_least:
            made.add_item(item)
    return made


def tagged(row: peer_worker.Sentence) -> Sentence:
    words, tags = row
    sentence = Sentence(words)
    for token, tag in zip(sentence, tags, strict=True):
        token.add_label("upos", tag)
    return sentence


def main() -> None:
    given = peer_worker.arguments()
    flair.device = torch.device("cpu")
    flair.set_seed(0)
    rows = peer_worker.read_sentences(given.data / "train.tsv")
    words = Counter(word for words, _ in rows for word in words)
    letters = Counter(letter for words, _ in rows for word in words for letter in word)
    size = peer_worker.TAGGING
    embeddings = StackedEmbeddings([
        OneHotEmbeddings(dictionary(words, 2), embedding_length=size["embedding"]),
        CharacterEmbeddings(dictionary(letters, 2), size["letter_embedding"], size["letter_hidden"]),
    ])  # fmt: skip
    tags = dictionary(Counter(tag for _, tags in rows for tag in tags), 1, unknown=False)
    tagger = SequenceTagger(
        embeddings, tags, "upos", hidden_size=size["hidden"], use_crf=False, reproject_embeddings=False
    )
    optimizer = torch.optim.Adam(tagger.parameters(), lr=1e-3)
    train = [tagged(row) for row in rows]  # as its own corpora, made once
    random.shuffle(train)
    sentences = peer_worker.repeated(train)

    def train_steps(count: int, batch_size: int = given.batch) -> tuple[int, int]:
        tagger.train()
        tokens = 0
        for _ in range(count):
            batch = list(itertools.islice(sentences, batch_size))
            optimizer.zero_grad()
            loss, _ = tagger.forward_loss(batch)
            loss.item()
            loss.backward()
            store_embeddings(batch, "none")
            torch.nn.utils.clip_grad_norm_(tagger.parameters(), 5.0)
            optimizer.step()
            tokens += sum(map(len, batch))
        return count * batch_size, tokens

    if given.job == "train":
        train_steps(3)
        peer_worker.serve(flair.__version__, "sentences", train_steps)
        return
    train_steps(given.steps, size["batch"])
    tagger.eval()
    test = peer_worker.repeated(peer_worker.read_sentences(given.data / "test.tsv"))

    def tag(count: int) -> tuple[int, int]:
        batch = [Sentence(words) for words, _ in itertools.islice(test, count)]
        tagger.predict(batch, mini_batch_size=given.batch)
        words = sum(len([token.tag for token in sentence]) for sentence in batch)
        return words, words

    tag(given.batch)
    peer_worker.serve(flair.__version__, "words", tag)


if __name__ == "__main__":
    main()
