"""The settings of the verbs that take a configuration: those that people change, and all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.registry import ROWS, data_classes
from nlp_rnn.training import VERBS
from nlp_rnn.training.messages import setting_names
from nlp_rnn.training.nonfinite import NonFiniteGuard


@dataclass(frozen=True)
class CommonSetting:
    """One row of the help.

    Args:
        name: the flag without its dashes.
        value: what stands for its value.
        summary: what it sets, in a few words.
        verbs: the verbs whose help shows it.
    """

    name: str
    value: str
    summary: str
    verbs: tuple[str, ...] = ("fit",)


_MEASURING = ("validate", "test", "predict")
_ALL = ("fit", *_MEASURING)
_SEVERAL = "nlp-rnn fit --config FILE --seeds 0 1 2 3 4"

COMMON_SETTINGS = (
    CommonSetting("config", "FILE", "a configuration; may be given several times, later ones win", _ALL),
    CommonSetting("resume", "RUN", "go on with an interrupted run, in its directory: runs/NAME/NUMBER"),
    CommonSetting("ckpt_path", "FILE", "checkpoint (.ckpt) to start from; last: as --resume, newest run"),
    CommonSetting("init_from", "MODEL", "trained model to go on from, with other data, vocabulary or labels"),
    CommonSetting("ckpt_path", "PATH", "the trained model: a model folder or a .ckpt file", _MEASURING),
    CommonSetting("output", "FILE", "file of answers to write, JSON lines", ("predict",)),
    CommonSetting("name", "NAME", "name of the run; else that of its first configuration"),
    CommonSetting("runs", "FOLDER", "folder of all runs; each gets FOLDER/NAME/1, 2, ..."),
    CommonSetting("seed_everything", "SEED", "seed of everything random", _ALL),
    CommonSetting("model.embedding_dim", "N", "size of the embeddings"),
    CommonSetting("model.hidden_dim", "N", "size of the recurrent state"),
    CommonSetting("model.num_layers", "N", "recurrent layers"),
    CommonSetting("model.cell", "CELL", f"the recurrent cell: {', '.join(CELLS)}"),
    CommonSetting("model.dropout", "P", "probability of dropout"),
    CommonSetting("model.optimization.optimizer", "NAME", "adam, adamw or sgd"),
    CommonSetting("model.optimization.lr", "RATE", "learning rate; the highest, with a schedule"),
    CommonSetting("model.optimization.schedule", "NAME", "constant, cosine, one_cycle or plateau"),
    CommonSetting("data.corpus.path", "PATH", "a bundled corpus, a file, a folder or a hub dataset", _ALL),
    CommonSetting("data.corpus.max_examples", "N", "maximum number of rows per split, drawn at random", _ALL),
    CommonSetting("data.batching.size", "N", "sequences per batch", _ALL),
    CommonSetting("data.max_length", "N", "tokens per text; longer ones are truncated"),
    CommonSetting("trainer.max_epochs", "N", "epochs to train"),
    CommonSetting("trainer.accelerator", "NAME", "cpu, gpu or auto", _ALL),
    CommonSetting("trainer.devices", "N", "how many devices", _ALL),
    CommonSetting("timeout", "SECONDS", "how long devices wait for each other, else 1800", _ALL),
    CommonSetting("trainer.precision", "NAME", "32-true, bf16-mixed, 16-mixed, ...", _ALL),
    CommonSetting("save_minutes", "N", "minutes between checkpoints within an epoch"),
    CommonSetting("trainer.gradient_clip_val", "NORM", "largest norm of the gradients"),
    CommonSetting("early_stopping.patience", "N", "validations without improvement before training stops"),
    CommonSetting("checkpoint.monitor", "METRIC", "metric by which the best checkpoint is chosen"),
    CommonSetting("training.on_nan", "NAME", "at a NaN or infinite loss: stop, or skip the batch"),
)


def describe(verb: str, defaults: Mapping[str, Any]) -> str:
    """What the help of a verb begins with.

    Args:
        verb: fit, validate, test or predict.
        defaults: the defaults of the run's and the trainer's settings by name.
    """
    rows = [
        (f"--{setting.name} {setting.value}", f"{setting.summary}{_default(setting.name, defaults)}")
        for setting in COMMON_SETTINGS
        if verb in setting.verbs
    ]
    width = max(len(flag) for flag, _ in rows)
    settings = "\n".join(f"  {flag:<{width}}  {text}" for flag, text in rows)
    models = ", ".join(row.model for row in ROWS.values())
    summary = VERBS[verb]
    several = f"\n\nthe same with several seeds, and their mean:\n  {_SEVERAL}" if verb == "fit" else ""
    return f"""{summary[0].upper()}{summary[1:]}.

settings that people change; flags win over configurations, wherever they stand:
{settings}

all settings of a model and of its data, which a configuration chooses:
  nlp-rnn {verb} --model.help NAME      of {models}
  nlp-rnn {verb} --data.help CLASS{several}

all settings of the run, most of them Lightning's:"""


def _default(name: str, defaults: Mapping[str, Any]) -> str:
    """` (default: ...)`, or nothing where there is none."""
    group, _, path = name.partition(".")
    if group == "model":
        values = _class_defaults(TASKS.values(), path)
    elif group == "data":
        values = _class_defaults((kind for task in TASKS for kind in data_classes(task)), path)
    else:
        values = [defaults.get(name)]
    distinct = {value for value in values if value is not None}
    if not distinct:
        return ""
    if len(distinct) == 1:
        return f" (default: {distinct.pop()})"
    if any(isinstance(value, str) for value in distinct):
        return " (default: by task)"
    return f" (default: {min(distinct)} to {max(distinct)}, by task)"


def _class_defaults(classes: Iterable[type], path: str) -> list[Any]:
    """The defaults of a setting in those classes that have it; `path` may lead into a dataclass."""
    name, *inner = path.split(".")
    values = []
    for owner in classes:
        parameter = signature(owner).parameters.get(name)
        if parameter is not None and parameter.default is not Parameter.empty:
            value = parameter.default
            for attribute in inner:
                value = getattr(value, attribute)
            values.append(value)
    return values


def all_settings(verb: str) -> list[str]:
    """The names of all settings that a verb takes, as flags name them, of every model and its data."""
    names = [setting.name for setting in COMMON_SETTINGS if verb in setting.verbs]
    run = {
        "trainer": Trainer,
        "checkpoint": ModelCheckpoint,
        "early_stopping": EarlyStopping,
        "training": NonFiniteGuard,
    }
    names += [f"{group}.{name}" for group, owner in run.items() for name in signature(owner).parameters]
    names += ["model", "model.help", *setting_names(TASKS.values(), "model")]
    names += ["data", "data.help", *setting_names((d for task in TASKS for d in data_classes(task)), "data")]
    names += ["print_config", "help", *(["seeds"] if verb == "fit" else [])]
    return [name for name in dict.fromkeys(names) if not name.endswith(".processor")]
