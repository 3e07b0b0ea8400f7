"""fairseq's LSTM with the sizes of nlp_rnn's translation model, without attention.

Its decoder still feeds its last output back as an input. The step is that of fairseq's Trainer on its own
batches of similar length; translation runs as in `fairseq-interactive`. fairseq 0.12 needs Python 3.10 or
older.
"""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fairseq
import peer_worker
import torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.logging import metrics
from fairseq.trainer import Trainer
from fairseq_cli import preprocess

LANGUAGES = ["--source-lang", "source", "--target-lang", "target"]


def flags(settings: dict[str, Any]) -> list[str]:
    """Turn settings into command-line flags."""
    return [text for name, value in settings.items() for text in (f"--{name}", str(value))]


def binarize(data: Path, folder: Path) -> None:
    """Convert the corpus into fairseq's binary files."""
    for side in ("source", "target"):  # its dictionaries need counts
        words = (data / f"vocabulary.{side}").read_text(encoding="utf-8").split()
        (folder / side).write_text("".join(f"{word} 9\n" for word in words), encoding="utf-8")
    settings = {"trainpref": data / "train", "srcdict": folder / "source", "tgtdict": folder / "target"}
    parser = options.get_preprocessing_parser()
    preprocess.main(parser.parse_args([*LANGUAGES, *flags({**settings, "destdir": folder})]))


def configuration(folder: Path, batch_size: int) -> Any:
    """Make fairseq's configuration of a training run."""
    size = peer_worker.TRANSLATION
    shared = {"embed-dim": size["embedding"], "hidden-size": size["hidden"], "layers": size["layers"]}
    settings = {
        "arch": "lstm", "dropout": size["dropout"], "decoder-attention": "0",
        "decoder-out-embed-dim": size["hidden"],
        **{f"{side}-{name}": value for side in ("encoder", "decoder") for name, value in shared.items()},
        "optimizer": "adam", "lr": 1e-3, "clip-norm": 1.0, "criterion": "cross_entropy",
        "batch-size": batch_size, "num-workers": 0, "save-dir": folder,
    }  # fmt: skip
    parser = options.get_training_parser()
    namespace = options.parse_args_and_arch(parser, [str(folder), "--cpu", *LANGUAGES, *flags(settings)])
    return convert_namespace_to_omegaconf(namespace)


def main() -> None:
    """Prepare the model and serve turns."""
    arguments = peer_worker.parse_arguments()
    torch.manual_seed(0)
    size = peer_worker.TRANSLATION["batch"] if arguments.job == "decode" else arguments.batch
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        binarize(arguments.data, folder)
        settings = configuration(folder, size)
        task = tasks.setup_task(settings.task)
        model = task.build_model(settings.model)
        trainer = Trainer(settings, task, model, task.build_criterion(settings.criterion))
        loader = trainer.get_train_iterator(epoch=1, load_dataset=True)

        def epochs() -> Iterator[dict[str, Any]]:
            while True:
                trainer.begin_epoch(loader.next_epoch_idx)
                yield from loader.next_epoch_itr(shuffle=True)

        batches = epochs()

        def train_steps(count: int) -> tuple[int, int]:
            pairs = tokens = 0
            with metrics.aggregate("train"):
                for batch in itertools.islice(batches, count):
                    trainer.train_step([batch])
                    pairs += batch["nsentences"]
                    # Both counts include EOS.
                    words = int(batch["net_input"]["src_lengths"].sum()) + batch["ntokens"]
                    tokens += words - 2 * batch["nsentences"]
            return pairs, tokens

        if arguments.job == "train":
            train_steps(2)
            peer_worker.serve(fairseq.__version__, "pairs", train_steps)
            return
        train_steps(arguments.steps)
    model.eval()
    model.prepare_for_inference_(settings)
    settings.generation.beam = arguments.beam
    settings.generation.max_len_b = 50
    generator = task.build_generator([model], settings.generation)
    test = peer_worker.repeat_forever(
        (arguments.data / "test.source").read_text(encoding="utf-8").splitlines()
    )

    def decode(count: int) -> tuple[int, int]:
        lines = itertools.islice(test, count)
        ids = [task.source_dictionary.encode_line(line, add_if_not_exist=False).long() for line in lines]
        rows = task.build_dataset_for_inference(ids, [len(row) for row in ids])
        # Its cache of batches would keep every dataset in memory.
        loader = task.get_batch_iterator(rows, max_sentences=arguments.batch, disable_iterator_cache=True)
        sentences = tokens = 0
        for batch in loader.next_epoch_itr(shuffle=False):
            for best, *_ in task.inference_step(generator, [model], batch):
                tokens += len(task.target_dictionary.string(best["tokens"]).split())
                sentences += 1
        return sentences, tokens

    decode(min(arguments.batch, 32))
    peer_worker.serve(fairseq.__version__, "sentences", decode)


if __name__ == "__main__":
    main()
