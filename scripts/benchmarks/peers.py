"""Other toolkits as baselines: each runs in an environment of its own, on the same words as our model.

    prepare("translation", Corpus(path), folder)
    for peer in available({"opennmt": "opennmt-venv/bin/python"}, "translation"):
        if peer.interpreter is None:
            print(peer.hint)
        else:
            Contestant(peer.name, command(peer, "train", folder, batch=128))

`peer_worker.py` says what the processes tell each other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nlp_rnn.data import Corpus, TaggingData, TranslationData
from nlp_rnn.data.vocabulary import EOS
from nlp_rnn.errors import UsageError

Job = Literal["train", "decode", "tag"]


@dataclass(frozen=True)
class Peer:
    """A toolkit and how to run it.

    Args:
        name: what the benchmark calls it.
        module: what its environment can import.
        task: translation or tagging.
        jobs: what its runner does.
        install: the arguments of pip that make its environment.
        python: what to make its environment with.
        interpreter: where it is installed; None before `available` has looked.
    """

    name: str
    module: str
    task: Literal["translation", "tagging"]
    jobs: tuple[Job, ...]
    install: tuple[str, ...]
    python: str = "python"
    interpreter: str | None = None

    @property
    def runner(self) -> Path:
        return Path(__file__).with_name(f"peer_{self.name}.py")

    @property
    def hint(self) -> str:
        """One line: how to get it measured."""
        steps = " && ".join(f"{self.name}-venv/bin/pip install {packages}" for packages in self.install)
        return (
            f"{self.name} is not installed: {self.python} -m venv {self.name}-venv && {steps}, "
            f"then --peer {self.name}={self.name}-venv/bin/python"
        )


_TORCH = "torch==2.13.0"  # first, where a peer asks for an older one or any
_TRANSLATE: tuple[Job, ...] = ("train", "decode")
_TAG: tuple[Job, ...] = ("train", "tag")

PEERS = (
    Peer(
        "opennmt",
        "onmt",
        "translation",
        _TRANSLATE,
        (
            _TORCH,
            "--no-deps OpenNMT-py==3.5.1",
            "configargparse 'ctranslate2>=4,<5' fasttext-wheel flask pyahocorasick pyonmttok pyyaml "
            "rapidfuzz sacrebleu six spacy tensorboard waitress",
        ),
    ),
    Peer("joeynmt", "joeynmt", "translation", _TRANSLATE, (_TORCH, "joeynmt==2.3.0 importlib_metadata")),
    Peer(
        "fairseq",
        "fairseq",
        "translation",
        _TRANSLATE,
        (
            "'setuptools<70' wheel 'cython<3' 'numpy<1.24'",
            "--no-deps --no-build-isolation fairseq==0.12.2",  # before torch, which its extensions do not fit
            f"{_TORCH} 'numpy<1.24' omegaconf==2.0.6 hydra-core==1.0.7 bitarray cffi regex sacrebleu tqdm",
        ),
        "python3.10",
    ),
    Peer("flair", "flair", "tagging", _TAG, (_TORCH, "flair==0.15.1")),
    Peer("stanza", "stanza", "tagging", _TAG, (_TORCH, "stanza==1.15.0")),
    Peer("spacy", "spacy", "tagging", _TAG, ("spacy==3.8.18",)),
)


def available(given: Mapping[str, str], task: str | None = None) -> list[Peer]:
    """Every peer (of a task); `interpreter` is set where the peer can be imported.

    Args:
        given: name -> interpreter of its environment. For the rest NLP_RNN_PEER_<NAME> is asked, then the
            running interpreter.

    Raises:
        UsageError: there is no such peer, or it cannot be imported by the interpreter given for it.
    """
    known = {peer.name: peer for peer in PEERS}
    for name in given:
        if name not in known:
            raise UsageError(f"--peer {name}: no such peer; use {', '.join(known)}")
    return [_located(peer, given.get(peer.name)) for peer in PEERS if task in (None, peer.task)]


def _located(peer: Peer, given: str | None) -> Peer:
    named = given or os.environ.get(f"NLP_RNN_PEER_{peer.name.upper()}")
    interpreter = named or sys.executable
    # In a process of its own: a peer must not load into the one that measures.
    find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({peer.module!r}) is None)"
    try:
        found = subprocess.run([interpreter, "-c", find], capture_output=True).returncode == 0
    except OSError as error:
        raise UsageError(f"--peer {peer.name}={interpreter}: cannot be run ({error.strerror})") from error
    if named and not found:
        raise UsageError(f"--peer {peer.name}={interpreter}: that interpreter cannot import {peer.module}")
    return replace(peer, interpreter=interpreter if found else None)


def command(peer: Peer, job: Job, folder: Path, batch: int, beam: int = 1, steps: int = 100) -> list[str]:
    """How to start a peer as a contestant of the arena.

    Args:
        peer: one whose `interpreter` is set.
        job: one of its jobs.
        folder: what `prepare` wrote for its task.
        batch: sentences in a batch.
        beam: width of the beam in decoding; 1 is greedy.
        steps: batches to train on, untimed, before decoding or tagging, so that outputs end.
    """
    assert peer.interpreter is not None
    options = {"data": folder.resolve(), "batch": batch, "beam": beam, "steps": steps}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [peer.interpreter, str(peer.runner), job, *flags]


def prepare(task: str, corpus: Corpus, folder: Path) -> None:
    """Write train and test, in plain text, with our own words and vocabulary; validation stands in for test
    where there is none.

    translation: {train,test}.{source,target} with a space between words, and vocabulary.{source,target}
    with a word a line, most frequent first. tagging: {train,test}.tsv, one word, tab and tag a line.
    """
    data = TranslationData(corpus) if task == "translation" else TaggingData(corpus)
    splits = corpus.load(data.columns(), data.labels)
    if "test" not in splits:
        splits["test"] = splits["validation"]
    if isinstance(data, TaggingData):
        for split in ("train", "test"):
            rows = zip(splits[split]["tokens"], splits[split]["upos"], strict=True)
            # White space inside a word would part it, and a word of nothing else would be lost.
            blocks = [
                "".join(f"{''.join(word.split()) or '_'}\t{tag}\n" for word, tag in zip(*row, strict=True))
                for row in rows
            ]
            (folder / f"{split}.tsv").write_text("\n".join(blocks) + "\n", encoding="utf-8")
        return
    processor = data.make_processor(splits["train"])
    for side in ("source", "target"):
        vocabulary = processor.source if side == "source" else processor.target
        words = vocabulary.tokens()[EOS + 1 :]
        (folder / f"vocabulary.{side}").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        tokenizer = vocabulary.tokenizer
        for split in ("train", "test"):
            lines = [
                " ".join(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text))
                for text in map(tokenizer.normalizer.normalize_str, splits[split][side])
            ]
            (folder / f"{split}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
