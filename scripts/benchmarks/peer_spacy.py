"""spaCy's own small tagger, from scratch: hashed embeddings of words, prefixes, suffixes and shapes under a
convolutional network (`HashEmbedCNN`, width 96, depth 4). It is no recurrent model, but the fast one that
people take; its matrix products use one thread, however many the others are given."""

import itertools
import random

import peer_worker
import spacy
from spacy.tokens import Doc
from spacy.training import Example

MODEL = {"@architectures": "spacy.Tagger.v2", "tok2vec": {
    "@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 96, "depth": 4,
    "embed_size": 2000, "window_size": 1, "maxout_pieces": 3, "subword_features": True,
}}  # fmt: skip


def main() -> None:
    given = peer_worker.arguments()
    random.seed(0)
    spacy.util.fix_random_seed(0)
    train = peer_worker.read_sentences(given.data / "train.tsv")
    language = spacy.blank("en")
    language.add_pipe("tagger", config={"model": MODEL})

    def example(sentence: peer_worker.Sentence) -> Example:
        words, tags = sentence
        return Example.from_dict(Doc(language.vocab, words=words), {"tags": tags})

    optimizer = language.initialize(lambda: map(example, train))
    random.shuffle(train)
    rows = peer_worker.repeated(train)

    def train_steps(count: int, size: int = given.batch) -> tuple[int, int]:
        tokens = 0
        for _ in range(count):
            batch = [example(row) for row in itertools.islice(rows, size)]
            language.update(batch, sgd=optimizer, drop=0.1)
            tokens += sum(map(len, batch))
        return count * size, tokens

    if given.job == "train":
        train_steps(3)
        peer_worker.serve(spacy.__version__, "sentences", train_steps)
        return
    train_steps(given.steps, peer_worker.TAGGING["batch"])
    test = peer_worker.repeated(peer_worker.read_sentences(given.data / "test.tsv"))

    def tag(count: int) -> tuple[int, int]:
        docs = (Doc(language.vocab, words=words) for words, _ in itertools.islice(test, count))
        words = sum(len([token.tag_ for token in doc]) for doc in language.pipe(docs, batch_size=given.batch))
        return words, words

    tag(given.batch)
    peer_worker.serve(spacy.__version__, "words", tag)


if __name__ == "__main__":
    main()
