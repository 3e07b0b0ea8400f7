"""spaCy's small tagger, trained from scratch.

Hashed embeddings of words, prefixes, suffixes and shapes under a convolutional network (`HashEmbedCNN`, width
96, depth 4). It is not recurrent, but a fast tagger that many people use. Its matrix products use one thread,
however many the other contestants may use.
"""

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
    """Prepare the model and serve turns."""
    arguments = peer_worker.parse_arguments()
    random.seed(0)
    spacy.util.fix_random_seed(0)
    train = peer_worker.read_sentences(arguments.data / "train.tsv")
    language = spacy.blank("en")
    language.add_pipe("tagger", config={"model": MODEL})

    def example(sentence: peer_worker.Sentence) -> Example:
        words, tags = sentence
        return Example.from_dict(Doc(language.vocab, words=words), {"tags": tags})

    optimizer = language.initialize(lambda: map(example, train))
    random.shuffle(train)
    rows = peer_worker.repeat_forever(train)

    def train_steps(count: int, size: int = arguments.batch) -> tuple[int, int]:
        tokens = 0
        for _ in range(count):
            batch = [example(row) for row in itertools.islice(rows, size)]
            language.update(batch, sgd=optimizer, drop=0.1)
            tokens += sum(map(len, batch))
        return count * size, tokens

    if arguments.job == "train":
        train_steps(3)
        peer_worker.serve(spacy.__version__, "sentences", train_steps)
        return
    train_steps(arguments.steps, peer_worker.TAGGING["batch"])
    test = peer_worker.repeat_forever(peer_worker.read_sentences(arguments.data / "test.tsv"))

    def tag(count: int) -> tuple[int, int]:
        docs = (Doc(language.vocab, words=words) for words, _ in itertools.islice(test, count))
        words = sum(
            len([token.tag_ for token in doc]) for doc in language.pipe(docs, batch_size=arguments.batch)
        )
        return words, words

    tag(arguments.batch)
    peer_worker.serve(spacy.__version__, "words", tag)


if __name__ == "__main__":
    main()
