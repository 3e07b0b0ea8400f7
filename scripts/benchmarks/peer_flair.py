"""Flair's `SequenceTagger`, trained from scratch.

Word and character embeddings, a BiLSTM, and softmax instead of its default CRF. The step is that of
`ModelTrainer.train_custom` without its logging.
"""

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


def make_dictionary(counts: Counter[str], min_frequency: int, unknown: bool = True) -> Dictionary:
    """Make a dictionary of the items that are frequent enough, most frequent first."""
    dictionary = Dictionary(add_unk=unknown)
    for item, count in counts.most_common():
        if count >= min_frequency:
            dictionary.add_item(item)
    return dictionary


def make_sentence(row: peer_worker.Sentence) -> Sentence:
    """Make Flair's sentence of words and tags."""
    words, tags = row
    sentence = Sentence(words)
    for token, tag in zip(sentence, tags, strict=True):
        token.add_label("upos", tag)
    return sentence


def main() -> None:
    """Prepare the model and serve turns."""
    arguments = peer_worker.parse_arguments()
    flair.device = torch.device("cpu")
    flair.set_seed(0)
    rows = peer_worker.read_sentences(arguments.data / "train.tsv")
    words = Counter(word for words, _ in rows for word in words)
    characters = Counter(character for words, _ in rows for word in words for character in word)
    size = peer_worker.TAGGING
    word_embeddings = OneHotEmbeddings(make_dictionary(words, 2), embedding_length=size["embedding"])
    character_embeddings = CharacterEmbeddings(
        make_dictionary(characters, 2), size["character_embedding"], size["character_hidden"]
    )
    embeddings = StackedEmbeddings([word_embeddings, character_embeddings])
    tags = make_dictionary(Counter(tag for _, tags in rows for tag in tags), 1, unknown=False)
    tagger = SequenceTagger(
        embeddings, tags, "upos", hidden_size=size["hidden"], use_crf=False, reproject_embeddings=False
    )
    optimizer = torch.optim.Adam(tagger.parameters(), lr=1e-3)
    train = [make_sentence(row) for row in rows]  # made once, as in its own corpora
    random.shuffle(train)
    sentences = peer_worker.repeat_forever(train)

    def train_steps(count: int, batch_size: int = arguments.batch) -> tuple[int, int]:
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

    if arguments.job == "train":
        train_steps(3)
        peer_worker.serve(flair.__version__, "sentences", train_steps)
        return
    train_steps(arguments.steps, size["batch"])
    tagger.eval()
    test = peer_worker.repeat_forever(peer_worker.read_sentences(arguments.data / "test.tsv"))

    def tag(count: int) -> tuple[int, int]:
        batch = [Sentence(words) for words, _ in itertools.islice(test, count)]
        tagger.predict(batch, mini_batch_size=arguments.batch)
        words = sum(len([token.tag for token in sentence]) for sentence in batch)
        return words, words

    tag(arguments.batch)
    peer_worker.serve(flair.__version__, "words", tag)


if __name__ == "__main__":
    main()
