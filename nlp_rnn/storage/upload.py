"""Uploading a model folder to the Hugging Face hub: its own files, in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.folder import CARD, CONFIG, own_files, read_json, require_inside
from nlp_rnn.storage.hub import HubAccess, UnreachableError, check_repo_id, hub_requests


@dataclass(frozen=True)
class FolderFiles:
    """The files of a model folder, and what else lies there.

    Args:
        own: names of the files that the model consists of.
        others: names of all other files and folders, sorted; folders end in "/".
    """

    own: list[str]
    others: list[str]


@dataclass(frozen=True)
class Upload:
    """What was uploaded.

    Args:
        url: of the commit, or of the pull request.
        commit: hash (hex) of the commit.
        files: the files.
    """

    url: str
    commit: str
    files: FolderFiles


def folder_files(folder: Path) -> FolderFiles:
    """What of a folder is part of the model.

    Raises:
        UsageError: it is no model folder, a file of the model is missing, or leads out of the folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a model folder")
    names = own_files(read_json(folder / CONFIG, folder))
    for name in names:
        if not require_inside(folder / name, folder).is_file() and name != CARD:
            raise UsageError(f"{folder / name}: is missing")
    own = [name for name in names if (folder / name).is_file()]
    others = [f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir()]
    return FolderFiles(own, sorted({*others} - {*own}))


def check_upload(folder: Path, repo_id: str, access: HubAccess, create_pr: bool = False) -> FolderFiles:
    """Make all checks of an upload that need no hub.

    Args:
        folder: a model folder.
        repo_id: as for `upload`.
        access: as for `upload`.
        create_pr: as for `upload`.

    Returns:
        The files of the folder.

    Raises:
        UsageError: the folder is no model folder, the id is none, or the hub must not be asked.
    """
    check_repo_id(repo_id)
    if create_pr and access.revision is not None:
        raise UsageError("a pull request is for the main branch: leave out its revision")
    files = folder_files(folder)
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise UsageError(f"{repo_id}: cannot upload while HF_HUB_OFFLINE is set")
    return files


def upload(
    folder: Path,
    repo_id: str,
    access: HubAccess,
    private: bool = False,
    create_pr: bool = False,
    message: str = "Upload a model of nlp_rnn",
) -> Upload:
    """Upload a model folder in one commit, which the hub makes whole or not at all.

    Args:
        folder: a model folder, checked before.
        repo_id: such as "me/mine"; made if it does not exist, but not for a pull request.
        access: how the hub is asked. Its revision is the branch, which is made if it does not exist.
        private: only its owner may see the repository.
        create_pr: propose the commit as a pull request.
        message: of the commit.

    Raises:
        UsageError: the folder is no model folder, the hub refuses, or cannot be reached.
    """
    files = check_upload(folder, repo_id, access, create_pr)
    from huggingface_hub import CommitOperationAdd, HfApi, constants

    import nlp_rnn

    api = HfApi(token=access.token, library_name="nlp_rnn", library_version=nlp_rnn.__version__)
    revision = access.revision or constants.DEFAULT_REVISION
    try:
        with hub_requests(repo_id, revision, access.seconds[1], writing=True):
            if not create_pr:
                api.create_repo(repo_id, private=private or None, exist_ok=True)
            if private and not api.model_info(repo_id).private:
                raise UsageError(f"{repo_id}: exists and is public; nothing was uploaded")
            if access.revision is not None and not revision.startswith("refs/"):
                api.create_branch(repo_id, branch=revision, exist_ok=True)
            commit = api.create_commit(
                repo_id,
                [CommitOperationAdd(name, folder / name) for name in files.own],
                commit_message=message,
                revision=access.revision,
                create_pr=create_pr,
            )
    except UnreachableError as error:
        raise UsageError(f"{repo_id}: not uploaded, for {error}") from error
    return Upload(str(commit.pr_url or commit.commit_url), str(commit.oid), files)
