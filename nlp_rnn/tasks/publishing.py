"""Publish a trained model on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlp_rnn.errors import UsageError
from nlp_rnn.storage.card_edit import set_metadata
from nlp_rnn.storage.hub import HubAccess
from nlp_rnn.storage.upload import Upload, check_upload, upload
from nlp_rnn.tasks.pretrained import from_pretrained


def push_to_hub(
    folder: str | Path,
    repo_id: str,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    *,
    token: str | None = None,
    message: str = "Upload a model of nlp_rnn",
    timeout: float = 60.0,
    metadata: Mapping[str, Any] | None = None,
) -> Upload:
    """Upload a model folder to the hub, in one commit, after checking that it loads.

    Only the files of the model are uploaded: configuration, weights, tokenizers and the card. What else lies
    in the folder is left out, and named by the result.

    Args:
        folder: a model folder.
        repo_id: such as "me/mine"; the repository is made if it does not exist.
        private: only its owner may see the repository. One that exists and is public is refused.
        revision: the branch; it is made if it does not exist. The main branch if left out.
        create_pr: propose the commit as a pull request to a repository that exists.
        token: with the right to write; that of HF_TOKEN or of `hf auth login` if left out.
        message: of the commit.
        timeout: seconds to wait for each answer of the hub.
        metadata: to state in the card, such as {"license": "mit", "language": ["en"]}. The card is changed
            after all checks of the folder; it stays changed if the hub refuses.

    Returns:
        The address of the commit or pull request, and the names of the files.

    Raises:
        UsageError: the folder cannot be loaded, the hub refuses, or it does not answer.

    Examples:
        >>> push_to_hub("runs/sentiment_builtin/latest/model", "me/film-reviews", private=True).url
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise UsageError(f"{folder}: not a model folder; only folders are uploaded")
    from_pretrained(path)
    access = HubAccess(revision, token, timeout=timeout)
    check_upload(path, repo_id, access, create_pr)
    if metadata:
        set_metadata(path, metadata)
    return upload(path, repo_id, access, private, create_pr, message)
