"""OpenNMT-py's sequence-to-sequence model with the sizes of nlp_rnn's, without attention and input feeding.

It trains with its own Trainer as `onmt_train` does, and translates with its InferenceEnginePY as
`onmt_translate` does. OpenNMT-py 3.5 asks for torch below 2.3. A later torch can read its checkpoints, which
contain its options, only without `weights_only`.
"""

import itertools
import os
import tempfile
from argparse import Namespace
from pathlib import Path

import peer_worker

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"

import onmt.opts
import torch
from onmt.constants import CorpusTask
from onmt.inference_engine import InferenceEnginePY
from onmt.inputters.dynamic_iterator import build_dynamic_dataset_iter
from onmt.model_builder import build_model
from onmt.models import build_model_saver
from onmt.train_single import prepare_transforms_vocabs
from onmt.trainer import build_trainer
from onmt.transforms import get_transforms_cls
from onmt.utils.misc import set_random_seed
from onmt.utils.optimizers import Optimizer
from onmt.utils.parse import ArgumentParser


def training_options(data: Path, folder: Path, batch_size: int) -> Namespace:
    """Make the options of `onmt_train`."""
    size = peer_worker.TRANSLATION
    for side in ("source", "target"):  # its vocabularies need counts
        words = (data / f"vocabulary.{side}").read_text(encoding="utf-8").split()
        (folder / side).write_text("".join(f"{word}\t9\n" for word in words), encoding="utf-8")
    corpora = f"{{train: {{path_src: {data / 'train.source'}, path_tgt: {data / 'train.target'}}}}}"
    settings = {
        "data": corpora, "src_vocab": folder / "source", "tgt_vocab": folder / "target",
        "save_model": folder / "model",
        "src_vocab_size": 10**6, "tgt_vocab_size": 10**6, "vocab_size_multiple": 1,
        "encoder_type": "rnn", "decoder_type": "rnn", "rnn_type": "LSTM", "global_attention": "none",
        "input_feed": 0,
        "word_vec_size": size["embedding"], "hidden_size": size["hidden"], "layers": size["layers"],
        "dropout": size["dropout"], "optim": "adam", "learning_rate": 1e-3, "max_grad_norm": 1,
        "batch_size": batch_size,
        "batch_type": "sents", "bucket_size": 32768, "num_workers": 0, "train_steps": 10**6, "seed": 1,
    }  # fmt: skip
    parser = ArgumentParser()
    onmt.opts.train_opts(parser)
    options = parser.parse_args(
        [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    )
    ArgumentParser.validate_train_opts(options)
    ArgumentParser.update_model_opts(options)
    ArgumentParser.validate_model_opts(options)
    ArgumentParser.validate_prepare_opts(options)
    return options


def make_engine(model: Path, batch_size: int, beam: int) -> InferenceEnginePY:
    """Load a checkpoint for translation."""
    parser = ArgumentParser()
    onmt.opts.translate_opts(parser)
    settings = {
        "model": model, "src": os.devnull, "output": os.devnull, "batch_size": batch_size, "beam_size": beam,
        "max_length": 50, "gpu": -1,
    }  # fmt: skip
    options = parser.parse_args(
        [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    )
    ArgumentParser.validate_translate_opts(options)
    ArgumentParser._get_all_transform_translate(options)
    ArgumentParser._validate_transforms_opts(options)
    ArgumentParser.validate_translate_opts_dynamic(options)
    return InferenceEnginePY(options)


def main() -> None:
    """Prepare the model and serve turns."""
    arguments = peer_worker.parse_arguments()
    size = peer_worker.TRANSLATION["batch"] if arguments.job == "decode" else arguments.batch
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        options = training_options(arguments.data, folder, size)
        set_random_seed(options.seed, False)
        transforms = get_transforms_cls(options._all_transform)
        vocabularies = prepare_transforms_vocabs(options, transforms)
        model = build_model(options, options, vocabularies, None, -1)
        optimizer = Optimizer.from_opt(model, options)
        saver = build_model_saver(options, options, model, vocabularies, optimizer, -1)
        trainer = build_trainer(options, -1, model, vocabularies, optimizer)
        batches = iter(
            build_dynamic_dataset_iter(options, transforms, vocabularies, task=CorpusTask.TRAIN, device_id=-1)
        )

        def train_steps(count: int) -> tuple[int, int]:
            stats = trainer.train(itertools.islice(batches, count), 0)
            return stats.n_sents, stats.n_src_words + stats.n_words - stats.n_sents  # n_words includes EOS

        if arguments.job == "train":
            train_steps(2)
            peer_worker.serve(onmt.__version__, "pairs", train_steps)
            return
        train_steps(arguments.steps)
        saver.save(arguments.steps)
        engine = make_engine(folder / f"model_step_{arguments.steps}.pt", arguments.batch, arguments.beam)
    test = peer_worker.repeat_forever(
        (arguments.data / "test.source").read_text(encoding="utf-8").splitlines()
    )

    def decode(count: int) -> tuple[int, int]:
        with torch.no_grad():
            _, best = engine.infer_list(list(itertools.islice(test, count)))
        return len(best), sum(len(hypotheses[0].split()) for hypotheses in best)

    decode(min(arguments.batch, 32))
    peer_worker.serve(onmt.__version__, "sentences", decode)


if __name__ == "__main__":
    main()
