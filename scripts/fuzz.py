"""Feed mutated files to readers, guided by coverage: `python scripts/fuzz.py csv tsv --seconds 60`.

Whatever bytes a file holds, a reader returns or raises `UsageError`. All else is a finding: another
exception, a crash, more than 4 GB of memory, or more than 20 seconds. One input of each kind is kept.
Only Python code is instrumented: inside of Arrow, tokenizers and safetensors the mutations are blind.

Needs atheris, which the package does not: `pip install atheris`.
"""

import argparse
import io
import logging
import multiprocessing
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Mapping
from contextlib import chdir, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import atheris
import datasets
from typing_extensions import override

with atheris.instrument_imports(include=["nlp_rnn", "conllu", "json", "zipfile"]):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch

    from nlp_rnn.cli.configs import check_arguments, find_config
    from nlp_rnn.data import Corpus, Vocabulary, VocabularySettings
    from nlp_rnn.data.corpus.columns import Numbers, Texts, Vectors, Words
    from nlp_rnn.data.corpus.conllu import block_words, conllu_blocks, replace_tags
    from nlp_rnn.errors import UsageError
    from nlp_rnn.lite.text.numbers import parse_numbers
    from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
    from nlp_rnn.tasks.registry import load_tasks
    from nlp_rnn.tasks.sentiment.data import SentimentProcessor
    from nlp_rnn.tasks.sentiment.task import Sentiment
    from nlp_rnn.training.arguments import ConfiguredCLI
    from nlp_rnn.training.checks import trust_only_own_classes

TEXTS = {"text": Texts(("text",))}
LABELED = {"text": ("text",), "label": ("label",)}
TAGGED = {"tokens": Words(("tokens",)), "upos": Words(("upos",))}
NUMBERS = {"x": Numbers(("x",)), "label": ("label",)}
PICKLE = "archive/data.pkl"
VECTORS = {"vector": Vectors(("vector",)), "text": ("text",)}


@dataclass(frozen=True)
class Reader:
    """What reads a file, the file's name, and files to start from."""

    read: Callable[[Path], object]
    file: str
    seeds: tuple[bytes, ...]


def corpus(*kinds: Mapping[str, Any]) -> Callable[[Path], None]:
    """Read a corpus with each of these sets of columns."""

    def read(path: Path) -> None:
        for columns in kinds:
            labels = next((name for name in ("label", "upos") if name in columns), None)
            with suppress(UsageError):
                Corpus(str(path)).load(columns, labels)

    return read


def pairs(path: Path) -> None:
    """Read both sides of parallel text, one from the file and one as long as that."""
    lines = path.read_bytes().count(b"\n")
    path.with_name("train.en").write_bytes(b"a\n" * lines)
    Corpus(str(path.parent)).load({"source": ("de",), "target": ("en",)})


def tagged(path: Path) -> None:
    """Read tagged sentences, and write them with other tags: nothing else may change."""
    with suppress(UsageError):
        corpus(TAGGED)(path)
    text = path.read_text("utf-8", errors="replace")
    blocks = list(conllu_blocks(io.StringIO(text, newline="\n")))
    assert "".join(blocks) == text
    for block in blocks:
        tags = [columns[3] for line in block.split("\n") if (columns := line.split("\t"))[0].isdigit()]
        words = block_words(block)
        assert len(replace_tags(block, {"upos": ["X"] * len(words)}).split("\t")) == len(block.split("\t"))
        if len(tags) == len(words):
            assert replace_tags(block, {"upos": tags}) == block


def numpy_arrays(path: Path) -> None:
    """Read an archive of arrays, then one whose only array is the file: checksums stop most mutations."""
    data = path.read_bytes()
    corpus(NUMBERS, VECTORS)(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x", "vector", "label", "text"):
            archive.writestr(f"{name}.npy", data)
    corpus(NUMBERS, VECTORS)(path)


def numbers(path: Path) -> None:
    """Read a line of numbers."""
    parse_numbers(path.read_text("utf-8", errors="replace"))


def tokenizer(path: Path) -> None:
    """Read a tokenizer and use it."""
    vocabulary = Vocabulary.from_json(path.read_text("utf-8", errors="replace"))
    ids = vocabulary.encode(["", "a good film<br />", "İ\u0301 한\0" * 20, "<eos> <pad>"])
    for row in ids:
        assert all(0 <= id < len(vocabulary) for id in row)
        vocabulary.decode(row)
    vocabulary.encode_words(["film", "É"])
    vocabulary.unknown("a bad film")
    vocabulary.split_stable_prefix("a", "b<br")


class ParserOnly(ConfiguredCLI):
    """Reads and checks configurations, and builds and runs nothing."""

    @override
    def instantiate_classes(self) -> None:
        pass

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        pass


@cache
def parser() -> ParserOnly:
    """Make the parser of `fit`, which takes longer than reading a configuration."""
    trust_only_own_classes()
    load_tasks()
    return ParserOnly(check_arguments(["fit", "--config", "conf/hello.yaml"]))


def configuration(path: Path) -> None:
    """Read a configuration of `fit`; the folders that it names are relative to its own."""
    with chdir(path.parent):
        parser().parse_arguments(parser().parser, check_arguments(["fit", f"--config={path}"]))


def weights(values: bytes) -> Callable[[Path], None]:
    """Read weights as they are, then with the file as the header of `values`, whose length is right."""

    def read(path: Path) -> None:
        header = path.read_bytes()
        with suppress(UsageError):
            from_pretrained(path.parent)
        path.write_bytes(len(header).to_bytes(8, "little") + header + values)
        from_pretrained(path.parent)

    return read


def checkpoint(parts: Mapping[str, bytes]) -> Callable[[Path], None]:
    """Read a checkpoint, then one whose pickle is the file: checksums stop most mutations."""

    def read(path: Path) -> None:
        pickled = path.read_bytes()
        with suppress(UsageError):
            from_pretrained(path)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, pickled if name == PICKLE else content)
        from_pretrained(path)

    return read


def readers(folder: Path) -> dict[str, Reader]:
    """Make all readers; a small model is written into `folder`."""
    texts = "text,label\ngood,1\nbad,0\nfine,1\ndull,0\n"
    line = "{}\t{}\t_\t{}" + "\t_" * 6 + "\n"
    tags = "# a\n" + line.format("1-2", "ab", "_") + line.format("1", "a", "X") + line.format("2", "b", "Y")
    columns = {"text": list("abcd"), "label": [0, 1, 0, 1], "x": [0.5, 1, 2, 4], "vector": [[1.0, 2.0]] * 4}
    parquet, archive, array, saved = (io.BytesIO() for _ in range(4))
    pq.write_table(pa.table(columns), parquet)
    np.savez(archive, text=np.array(list("abcd")), label=np.arange(4) % 2, x=np.arange(4), vector=np.eye(4))
    np.save(array, np.ones((4, 2), np.float32))
    vocabularies = [
        Vocabulary.train(["a good film", "a bad film"], VocabularySettings(level, min_frequency=0))
        for level in ("word", "bpe", "char")
    ]
    processor = SentimentProcessor(vocabularies[0], ["0", "1"], ["no", "yes"])
    task = Sentiment(processor, embedding_dim=2, hidden_dim=2)
    model = save_pretrained(task, folder / "model")
    state = {f"model.{name}": value for name, value in task.model.state_dict().items()}
    torch.save({"nlp_rnn": task.stored(), "state_dict": state}, saved)
    with zipfile.ZipFile(saved) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    stored = (model / "model.safetensors").read_bytes()
    values = 8 + int.from_bytes(stored[:8], "little")
    records = (
        b'{"text": "a", "label": 1, "x": 1e3, "vector": [1, 2]}\n'
        b'{"text": "b", "label": 0, "x": 2, "vector": [[3], [4]]}\n',
        b'{"tokens": ["a", "b"], "upos": ["X", "Y"], "more": {"text": null, "label": true}}\n' * 3,
    )
    csv = (texts.encode(), b'x,label\n"1\n",a\n-2.5e3,"b""c"\n')
    tsv = (texts.replace(",", "\t").encode(), "\ufeffü\r\n\0\n".encode())
    yaml = [find_config(f"conf/{name}.yaml").read_bytes() for name in ("hello", "tagging_builtin")]
    every = corpus(TEXTS, LABELED, TAGGED, NUMBERS, VECTORS)
    in_folder = {
        f"model-{file}": Reader(
            lambda path: from_pretrained(path.parent), f"model/{file}", ((model / file).read_bytes(),)
        )
        for file in ("config.json", "tokenizer.json")
    }
    return {
        "csv": Reader(corpus(LABELED, NUMBERS), "a.csv", csv),
        "tsv": Reader(corpus(LABELED, TEXTS), "a.tsv", tsv),
        "json": Reader(every, "a.jsonl", records),
        "parquet": Reader(every, "a.parquet", (parquet.getvalue(),)),
        "numpy": Reader(numpy_arrays, "a.npz", (archive.getvalue(), array.getvalue())),
        "conllu": Reader(tagged, "a.conllu", (tags.encode(), tags.replace("\n", "\r\n").encode())),
        "pairs": Reader(pairs, "train.de", (b"ein Haus\n\nzwei\r\ndrei\n",)),
        "numbers": Reader(numbers, "line", (b"1, 2.5e3 -4", b"[[1, 2], [3, 4.5]]")),
        "tokenizer": Reader(tokenizer, "tokenizer.json", tuple(v.to_json().encode() for v in vocabularies)),
        "yaml": Reader(configuration, "a.yaml", (*yaml, b"a: &a [1]\nb: [*a, *a, !!float .nan]\n")),
        "checkpoint": Reader(checkpoint(parts), "a.ckpt", (saved.getvalue(), parts[PICKLE])),
        "weights": Reader(weights(stored[values:]), "model/model.safetensors", (stored, stored[8:values])),
        **in_folder,
    }


def fuzz(name: str, reader: Reader, folder: Path, findings: Path, seconds: int) -> None:
    """Fuzz one reader, and print each new finding; ends the process."""
    path, seeds = folder / reader.file, folder / f"seeds-{name}"
    original = path.read_bytes() if path.exists() else b""
    known: set[str] = set()

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            reader.read(path)
        except UsageError:
            pass
        except BaseException as error:  # a panic of Rust code is no Exception
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} {place.filename}:{place.lineno}"
            if where not in known:
                known.add(where)
                finding = findings / f"{name}-{sha256(where.encode()).hexdigest()[:8]}"
                finding.write_bytes(data)
                print(f"FINDING {finding}: {where}: {str(error)[:200]}", flush=True)
        path.write_bytes(original)

    seeds.mkdir()
    for number, seed in enumerate(reader.seeds):
        (seeds / str(number)).write_bytes(seed)
    limits = ["-rss_limit_mb=4096", "-timeout=20", "-max_len=8192", f"-max_total_time={seconds}"]
    atheris.Setup(["fuzz", *limits, f"-artifact_prefix={findings}/{name}-", str(seeds)], run)
    atheris.Fuzz()


def main() -> None:
    """Fuzz readers one after another, each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("readers", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader; default: 60")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder; default: findings")
    options = parser.parse_args()
    options.findings.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.CRITICAL)
    # Hashing the rows takes nine tenths of the time of `Corpus.load`, and reads nothing.
    datasets.arrow_dataset.generate_fingerprint = lambda dataset: ""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        known = readers(folder)
        for name in options.readers or known:
            print(f"READER {name}", flush=True)
            arguments = (name, known[name], folder, options.findings, options.seconds)
            process = multiprocessing.get_context("fork").Process(target=fuzz, args=arguments)
            process.start()
            process.join()


if __name__ == "__main__":
    main()
