"""Datasets from the Hugging Face hub or its local cache, or saved in a folder."""

from __future__ import annotations

from pathlib import Path

from nlp_rnn.data.types import DatasetDict
from nlp_rnn.errors import UsageError, one_line


def load_hub_dataset(
    path: str, config: str | None = None, revision: str | None = None, streaming: bool = False
) -> DatasetDict:
    """Load all splits of a dataset from the hub or its local cache, without running the dataset's own code.

    Args:
        path: id on the hub, such as "stanfordnlp/imdb".
        config: name of one of the dataset's configurations.
        revision: branch, tag or commit.
        streaming: whether the rows are not stored, but fetched when they are read; then the splits are
            streams.

    Raises:
        UsageError: the dataset cannot be loaded, or is not cached and the hub cannot be reached.
    """
    import datasets

    offline = datasets.config.HF_HUB_OFFLINE
    unreachable = offline or not hub_is_reachable()
    name = f"dataset {path}" + (f", config {config}" if config else "")
    try:
        datasets.config.HF_HUB_OFFLINE = unreachable  # read the cache at once, without retries
        return datasets.load_dataset(path, config, revision=revision, streaming=streaming)
    except Exception as error:  # many libraries raise errors of many types here
        if unreachable:
            raise UsageError(
                f"{name}: not in the local cache and the hub cannot be reached (nor is it a local "
                "path); go online once to download it, or give a local file or folder"
            ) from error
        raise UsageError(f"{name}: cannot be loaded: {' '.join(str(error).split())[:500]}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE = offline


def hub_commit(path: str, revision: str | None = None) -> str:
    """The commit (hex) of the hub that a dataset's branch or tag stands for now.

    Raises:
        UsageError: the hub does not tell it.
    """
    import huggingface_hub

    try:
        return str(huggingface_hub.HfApi().dataset_info(path, revision=revision).sha)
    except Exception as error:  # the types depend on the installed HTTP library
        raise UsageError(
            f"dataset {path}: cannot be streamed, for the hub does not answer: {one_line(error)}"
        ) from error


def is_saved(folder: Path) -> bool:
    """Return whether a folder holds a dataset as `save_to_disk` writes it."""
    return (folder / "dataset_dict.json").is_file() or (folder / "dataset_info.json").is_file()


def load_saved(folder: Path) -> DatasetDict:
    """Load all splits of a dataset that `save_to_disk` wrote; one without splits is the train split.

    Raises:
        UsageError: the folder is damaged.
    """
    import datasets

    try:
        dataset = datasets.load_from_disk(str(folder))
    except Exception as error:  # many libraries raise errors of many types here
        raise UsageError(f"{folder}: cannot be loaded: {' '.join(str(error).split())[:500]}") from error
    return dataset if isinstance(dataset, datasets.DatasetDict) else datasets.DatasetDict(train=dataset)


def hub_is_reachable() -> bool:
    """Whether the hub answers at all, within HF_HUB_ETAG_TIMEOUT seconds (10 if that is not set).

    Without this, a hub that cannot be reached or never answers is asked again and again for minutes, even for
    what is in the local cache.
    """
    import huggingface_hub
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        session = huggingface_hub.get_session()
        session.head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except Exception:  # the type depends on the installed HTTP library
        return False
    return True
