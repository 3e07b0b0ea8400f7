"""Peers: other toolkits, each in an environment of its own, on the same words as nlp_rnn.

Example:
    write_corpus("translation", Corpus(path), folder)
    for peer in find_peers({"opennmt": "opennmt-venv/bin/python"}, "translation"):
        if peer.interpreter is None:
            print(peer.install_hint)
        else:
            Contestant(peer.name, build_command(peer, "train", folder, batch_size=128))

`peer_worker.py` describes the messages between the processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nlp_rnn.data import Corpus
from nlp_rnn.data.vocabulary import EOS
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.tagging import TaggingData
from nlp_rnn.tasks.translation import TranslationData

Job = Literal["train", "decode", "tag"]


@dataclass(frozen=True)
class Peer:
    """A toolkit and how to run it.

    Args:
        name: its name on the command line and in tables.
        module: the module that its environment can import.
        task: translation or tagging.
        jobs: the jobs that its runner, `peer_NAME.py`, can do.
        install: the arguments of each call of pip that installs it.
        python: the Python to make its environment with.
        interpreter: the Python that it is installed for; None if it was not found.
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
        """The script that runs the toolkit."""
        return Path(__file__).with_name(f"peer_{self.name}.py")

    @property
    def install_hint(self) -> str:
        """One line that tells how to install the toolkit."""
        steps = " && ".join(f"{self.name}-venv/bin/pip install {packages}" for packages in self.install)
        return (
            f"{self.name} is not installed: {self.python} -m venv {self.name}-venv && {steps}, "
            f"then --peer {self.name}={self.name}-venv/bin/python"
        )


_TORCH = "torch==2.13.0"  # installed first, for peers that would install an older one
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
            "--no-deps --no-build-isolation fairseq==0.12.2",  # before torch: its extensions do not fit it
            f"{_TORCH} 'numpy<1.24' omegaconf==2.0.6 hydra-core==1.0.7 bitarray cffi regex sacrebleu tqdm",
        ),
        "python3.10",
    ),
    Peer("flair", "flair", "tagging", _TAG, (_TORCH, "flair==0.15.1")),
    Peer("stanza", "stanza", "tagging", _TAG, (_TORCH, "stanza==1.15.0")),
    Peer("spacy", "spacy", "tagging", _TAG, ("spacy==3.8.18",)),
)


def find_peers(interpreters: Mapping[str, str], task: str | None = None) -> list[Peer]:
    """List the peers, with `interpreter` set where the peer can be imported.

    Args:
        interpreters: peer name -> Python of its environment. For other peers the environment variable
            NLP_RNN_PEER_<NAME> is used, then the present Python.
        task: only the peers for this task.

    Raises:
        UsageError: there is no such peer, or the named Python cannot import it.
    """
    known = {peer.name: peer for peer in PEERS}
    for name in interpreters:
        if name not in known:
            raise UsageError(f"--peer {name}: unknown peer; use one of {', '.join(known)}")
    return [_locate(peer, interpreters.get(peer.name)) for peer in PEERS if task in (None, peer.task)]


def _locate(peer: Peer, interpreter: str | None) -> Peer:
    named = interpreter or os.environ.get(f"NLP_RNN_PEER_{peer.name.upper()}")
    python = named or sys.executable
    # In a process of its own, so that the peer is not loaded into the process that measures.
    program = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({peer.module!r}) is None)"
    try:
        importable = subprocess.run([python, "-c", program], capture_output=True).returncode == 0
    except OSError as error:
        raise UsageError(f"--peer {peer.name}={python}: cannot be run ({error.strerror})") from error
    if named and not importable:
        raise UsageError(f"--peer {peer.name}={python}: this Python cannot import {peer.module}")
    return replace(peer, interpreter=python if importable else None)


def build_command(
    peer: Peer, job: Job, folder: Path, batch_size: int, beam: int = 1, steps: int = 100
) -> list[str]:
    """Build the command that starts a peer as a contestant.

    Args:
        peer: a peer whose `interpreter` is set.
        job: one of its jobs.
        folder: the folder that `write_corpus` wrote to.
        batch_size: sentences per batch.
        beam: width of the beam in decoding; 1 for greedy decoding.
        steps: training steps before decoding or tagging, which are not measured; a trained model ends its
            outputs.
    """
    assert peer.interpreter is not None
    options = {"data": folder.resolve(), "batch": batch_size, "beam": beam, "steps": steps}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [peer.interpreter, str(peer.runner), job, *flags]


def write_corpus(task: str, corpus: Corpus, folder: Path) -> None:
    """Write the train and test splits as plain text, in the words and vocabulary of nlp_rnn.

    The validation split is used where there is no test split. Files for translation:
    {train,test}.{source,target} with spaces between words, and vocabulary.{source,target} with one word per
    line, most frequent first. Files for tagging: {train,test}.tsv with one word, tab and tag per line, and an
    empty line after each sentence.

    Args:
        task: translation or tagging.
        corpus: the corpus.
        folder: where to write.
    """
    data = TranslationData(corpus) if task == "translation" else TaggingData(corpus)
    splits = corpus.load(data.columns(), data.labels)
    if "test" not in splits:
        splits["test"] = splits["validation"]
    if isinstance(data, TaggingData):
        for split in ("train", "test"):
            rows = zip(splits[split]["tokens"], splits[split]["upos"], strict=True)
            # Remove white space inside words, which would split them, and keep words of white space alone.
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
