"""JoeyNMT's recurrent model, with sizes as near to nlp_rnn's translation model as it allows.

It always has attention (here Luong's), and its encoder must be bidirectional (256 units per direction for
512). The step is that of `TrainManager.train_and_validate` without its logging and validation; translation
runs its `predict`.
"""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joeynmt
import peer_worker
from joeynmt.batch import Batch
from joeynmt.config import parse_global_args
from joeynmt.datasets import build_dataset
from joeynmt.prediction import predict, prepare
from joeynmt.training import TrainManager


def configuration(
    data: Path, folder: Path, batch_size: int, decode_batch_size: int, beam: int
) -> dict[str, Any]:
    """Make JoeyNMT's configuration of a training run."""
    size = peer_worker.TRANSLATION
    side = {"level": "word", "lowercase": False, "voc_min_freq": 2, "max_length": 100}
    embeddings = {"embedding_dim": size["embedding"]}
    shared = {"rnn_type": "lstm", "embeddings": embeddings, "hidden_size": size["hidden"],
            "num_layers": size["layers"], "dropout": size["dropout"]}  # fmt: skip
    decoder = {"type": "recurrent", "attention": "luong", "input_feeding": False, "init_hidden": "bridge"}
    return {
        "name": "peer",
        "model_dir": str(folder),
        "use_cuda": False,
        "random_seed": 1,
        "data": {
            "train": str(data / "train"),
            "dataset_type": "plain",
            "src": {"lang": "source", **side},
            "trg": {"lang": "target", **side},
        },
        "training": {
            "batch_size": batch_size,
            "learning_rate": 1e-3,
            "clip_grad_norm": 1.0,
            "scheduling": "exponential",  # per epoch; the steps below never end one
        },
        "testing": {
            "batch_size": decode_batch_size,
            "beam_size": beam,
            "beam_alpha": 1.0,
            "max_output_length": 50,
        },
        "model": {
            "encoder": {
                **shared,
                "type": "recurrent",
                "bidirectional": True,
                "hidden_size": size["hidden"] // 2,
            },
            "decoder": {**decoder, **shared},
        },
    }


def main() -> None:
    """Prepare the model and serve turns."""
    arguments = peer_worker.parse_arguments()
    size = peer_worker.TRANSLATION["batch"] if arguments.job == "decode" else arguments.batch
    with tempfile.TemporaryDirectory() as folder:
        settings = parse_global_args(
            configuration(arguments.data, Path(folder), size, arguments.batch, arguments.beam), mode="train"
        )
        model, data, _, _ = prepare(settings, rank=0, mode="train")
        trainer = TrainManager(
            0, model, settings.model_dir, settings.device,
            autocast=settings.autocast, seed=settings.seed, train_args=settings.train, dev_args=settings.test,
        )  # fmt: skip
        trainer.tb_writer.close()

    def epochs() -> Iterator[Batch]:
        loader = data.make_iter(
            size, "sentence", settings.seed, True, pad_index=model.pad_index, eos_index=model.eos_index
        )
        for seed in itertools.count():
            loader.batch_sampler.set_seed(seed)
            yield from loader

    batches = epochs()

    def train_steps(count: int) -> tuple[int, int]:
        pairs = tokens = 0
        for batch in itertools.islice(batches, count):
            trainer._train_step(batch)
            trainer.clip_grad_fun(parameters=model.parameters())
            trainer.optimizer.step()
            model.zero_grad()
            pairs += batch.nseqs
            # Both counts include EOS.
            tokens += int(batch.src_length.sum()) + int(batch.ntokens) - 2 * batch.nseqs
        return pairs, tokens

    if arguments.job == "train":
        train_steps(2)
        peer_worker.serve(joeynmt.__version__, "pairs", train_steps)
        return
    train_steps(arguments.steps)
    model.eval()
    test = peer_worker.repeat_forever(
        (arguments.data / "test.source").read_text(encoding="utf-8").splitlines()
    )

    def decode(count: int) -> tuple[int, int]:
        stream = build_dataset(
            "stream", None, "source", "target", "test", data.tokenizer, data.sequence_encoder,
            {"source": False, "target": False},
        )  # fmt: skip
        for line in itertools.islice(test, count):
            stream.set_item(line)
        translations = predict(
            model, stream, settings.device, n_gpu=0, args=settings.test, autocast=settings.autocast
        )[2]
        return len(translations), sum(len(line.split()) for line in translations)

    decode(min(arguments.batch, 32))
    peer_worker.serve(joeynmt.__version__, "sentences", decode)


if __name__ == "__main__":
    main()
