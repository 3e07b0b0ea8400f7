"""Model folders on the Hugging Face hub: requests that end in time, errors of one line, and downloads."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, cannot_write
from nlp_rnn.lite.folders.folder import CARD, CONFIG, WEIGHTS, own_files, read_json
from nlp_rnn.settings import Range, check_value

_ONE_AT_A_TIME = threading.RLock()  # the hooks and the verbosity of the library are those of the process

log = logging.getLogger(__name__)

_Timeout = Annotated[float, Range(0.001, 86_400.0)]
_LOG_IN = "set HF_TOKEN to a token that is valid there, or log in with `hf auth login`"
_TOKEN = re.compile("[!-~]+")
_COMMIT = re.compile("[0-9a-f]{40}")
_ATTEMPTS = 2  # the library itself repeats a request that fails up to five times, after ever longer pauses


@dataclass(frozen=True)
class HubAccess:
    """How the hub is asked for a model.

    Args:
        revision: branch, tag or commit; the main branch if left out.
        token: for private repositories; the one in HF_TOKEN, or that `hf auth login` stored, if left out. It
            is never printed.
        local_files_only: read the local cache alone, as HF_HUB_OFFLINE=1 does.
        timeout: seconds to wait for an answer, and for each further part of it; HF_HUB_ETAG_TIMEOUT and
            HF_HUB_DOWNLOAD_TIMEOUT, 10 if these are not set, if left out.

    Raises:
        UsageError: the time-out is out of range, or the token cannot be one.
    """

    revision: str | None = None
    token: str | None = field(default=None, repr=False)
    local_files_only: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None:
            check_value(_Timeout, self.timeout, "timeout")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise UsageError("the token has characters that no token has, such as spaces, or none at all")

    @property
    def seconds(self) -> tuple[float, float]:
        """The longest wait for the first answer, and for any other."""
        from huggingface_hub import constants

        if self.timeout is not None:
            return self.timeout, self.timeout
        first = float(constants.HF_HUB_ETAG_TIMEOUT)
        return first, max(first, float(constants.HF_HUB_DOWNLOAD_TIMEOUT))


def download(repo_id: str, access: HubAccess) -> Path:
    """The folder of the local cache that holds a model of the hub, downloaded if it is not there.

    A branch is looked up at each call, but files that are in the cache are not downloaded again; a whole
    commit that is in the cache needs no hub at all. Where the hub cannot be reached, the cached copy is used,
    with a warning. A branch points to a new commit in the cache when all of its files are there, not before.

    Args:
        repo_id: such as "me/mine".
        access: how the hub is asked.

    Raises:
        UsageError: the hub refuses, has no such model, or cannot be reached while there is no cached copy.
    """
    from huggingface_hub import constants

    check_repo_id(repo_id)
    revision = access.revision or constants.DEFAULT_REVISION
    cached = _cached(repo_id, revision)
    if access.local_files_only or constants.HF_HUB_OFFLINE:
        if cached is None:
            why = "local_files_only" if access.local_files_only else "HF_HUB_OFFLINE is set"
            raise UsageError(
                f"{repo_id}: there is no such folder, the local cache {constants.HF_HUB_CACHE} does not hold "
                f"the whole of {_named(revision)} of such a model, and the hub is not asked ({why})"
            )
        return cached
    if cached is not None and cached.name == revision:  # a commit, which never changes
        return cached
    from huggingface_hub import HfApi, hf_hub_download

    import nlp_rnn

    options: dict[str, Any] = {"token": access.token, "library_name": "nlp_rnn"}
    options["library_version"] = nlp_rnn.__version__
    first, other = access.seconds
    try:
        with hub_requests(repo_id, revision, first):
            found = HfApi(**options).model_info(repo_id, revision=access.revision, timeout=first)
        commit = str(found.sha)
        names = {file.rfilename for file in found.siblings or ()}
        if not _COMMIT.fullmatch(commit):
            raise UsageError(f"{repo_id}: {constants.ENDPOINT} is not a hub; check HF_ENDPOINT")
        for name in (CONFIG, WEIGHTS):
            if name not in names:
                raise UsageError(f"{repo_id}: {_named(revision)} has no {name}, so it is no model of nlp_rnn")

        def get(name: str) -> Path:
            return Path(hf_hub_download(repo_id, name, revision=commit, etag_timeout=other, **options))

        with hub_requests(repo_id, revision, other):
            folder = get(CONFIG).parent
            # A tokenizer that the configuration names but the hub lacks is found missing when it is read.
            for name in own_files(read_json(folder / CONFIG, folder.parents[1])):
                if name in names:
                    get(name)
            _remember(folder, revision, commit)
    except UnreachableError as error:
        if cached is None:
            raise UsageError(f"{repo_id}: there is no such folder, and {error}") from error
        log.warning("%s: %s; the copy in the local cache is used", repo_id, error)
        return cached
    return folder


def check_repo_id(repo_id: str) -> None:
    """Refuse what cannot be the id of a model on the hub.

    Raises:
        UsageError: it is not "owner/name", of letters, digits and -_. between letters and digits.
    """
    from huggingface_hub import utils

    try:
        utils.validate_repo_id(repo_id)  # type: ignore[attr-defined]
        is_valid = repo_id.count("/") == 1
    except utils.HFValidationError:  # type: ignore[attr-defined]
        is_valid = False
    if not is_valid:
        raise UsageError(
            f"{repo_id}: there is no such folder, and it is no id of a model on the hub: these are "
            "owner/name, of letters, digits, '-', '_' and '.'"
        )


class UnreachableError(Exception):
    """The hub did not answer, or is overloaded: a cached copy is as good as can be had."""


@contextmanager
def hub_requests(repo_id: str, revision: str, seconds: float, writing: bool = False) -> Iterator[None]:
    """Requests of `huggingface_hub` that end in time, whose errors are one line, without its own messages.

    Args:
        repo_id: what the requests are about.
        revision: branch, tag or commit.
        seconds: the longest wait for an answer, and for each further part of one.
        writing: whether they change the repository.

    Raises:
        UsageError: the hub refuses.
        UnreachableError: it cannot be reached, or does not answer in time.
    """
    import huggingface_hub
    from huggingface_hub.utils import logging as messages

    watch = _Watch(seconds)
    with _ONE_AT_A_TIME, ExitStack() as undone:
        hooks = huggingface_hub.get_session().event_hooks  # of httpx: functions that see requests and answers
        for name, hook in (("request", watch.before), ("response", watch.after)):
            hooks[name].append(hook)
            undone.callback(hooks[name].remove, hook)
        undone.callback(messages.set_verbosity, messages.get_verbosity())
        messages.set_verbosity(logging.ERROR)
        try:
            yield
        except UsageError:
            raise
        except Exception as error:  # of the library, of the network and of the file system
            raise _explained(error, repo_id, revision, seconds, writing) from error


@dataclass
class _Watch:
    """Limits the time of each request, and how often the library repeats one.

    Other threads of a program may use the library too. Their requests are let through; those without a
    time-out get one, for the library itself may have begun such a thread.
    """

    seconds: float
    thread: int = field(default_factory=threading.get_ident)
    sent: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def before(self, request: Any) -> None:
        """Set the time-out of a request; refuse to send it once more."""
        is_own = threading.get_ident() == self.thread
        limits = request.extensions.get("timeout", {})
        for name in ("connect", "read", "write", "pool"):
            if limits.get(name) is None or (is_own and limits[name] > self.seconds):
                limits[name] = self.seconds
        request.extensions["timeout"] = limits
        if not is_own:
            return
        # With the range: a download that goes on where it broke off is another request.
        key = (request.method, str(request.url), request.headers.get("range", ""))
        self.sent[key] += 1
        if self.sent[key] > _ATTEMPTS:
            raise UnreachableError(
                f"the hub failed to answer {_ATTEMPTS} times (time-out: {self.seconds:g} s)"
            )

    def after(self, response: Any) -> None:
        """End at once where the library would sleep, for as long as the hub says."""
        if response.status_code == 429 and threading.get_ident() == self.thread:
            wait = response.headers.get("retry-after", "")
            when = f" in {wait} s" if wait.isdigit() else " later"
            raise UnreachableError(f"the hub has had too many requests (429); try again{when}")


def _explained(error: Exception, repo_id: str, revision: str, seconds: float, writing: bool) -> Exception:
    """What to tell the user, in place of the error of a library, whose message may hold the token."""
    from huggingface_hub import constants, errors

    if isinstance(error, (UsageError, UnreachableError)):
        return error
    wraps = isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError))
    if wraps and isinstance(error.__cause__, Exception):
        return _explained(error.__cause__, repo_id, revision, seconds, writing)
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    if isinstance(error, errors.GatedRepoError):
        return UsageError(f"{repo_id}: the hub grants access on request only; ask for it on the model's page")
    if isinstance(error, errors.RevisionNotFoundError):
        return UsageError(f"{repo_id}: the hub has no {_named(revision)} of this model; check the revision")
    if isinstance(error, errors.EntryNotFoundError):
        return UsageError(f"{repo_id}: the hub has no such file in {_named(revision)}; check the repository")
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return UsageError(
            f"{repo_id}: {'' if writing else 'there is no such folder, and '}the hub has no such model, or "
            f"it is private: check the name; for a private one, {_LOG_IN}"
        )
    if status == 401:
        return UsageError(f"{repo_id}: the hub refuses the token, or there is none (401): {_LOG_IN}")
    if status == 403:
        right = "write to" if writing else "read"
        return UsageError(f"{repo_id}: the token may not {right} this repository (403): use one that may")
    if status >= 500:
        return UnreachableError(f"the hub fails ({status}); try again later")
    if status:
        said = str(getattr(error, "server_message", None) or "no reason given")
        return UsageError(f"{repo_id}: the hub refuses ({status}): {said[:200]}")
    if "Timeout" in type(error).__name__:  # of httpx, whose name differs between versions of the library
        return UnreachableError(f"the hub did not answer within {seconds:g} s")
    if isinstance(error, OSError) and error.errno is not None:
        return cannot_write(error.filename or constants.HF_HUB_CACHE, error)
    if isinstance(error, OSError) or type(error).__module__.startswith("httpx"):
        return UnreachableError(f"the hub cannot be reached ({type(error).__name__}); check the connection")
    return UsageError(
        f"{repo_id}: {constants.ENDPOINT} does not answer as a hub does ({type(error).__name__}); "
        "check HF_ENDPOINT"
    )


def _named(revision: str) -> str:
    return f"revision {revision!r}"


def _cached(repo_id: str, revision: str) -> Path | None:
    """The folder of the local cache that holds a whole model; None if it does not."""
    from huggingface_hub import try_to_load_from_cache

    def find(name: str) -> Path | None:
        path = try_to_load_from_cache(repo_id, name, revision=revision)
        return Path(path) if isinstance(path, str) else None

    config_file = find(CONFIG)
    if config_file is None:
        return None
    config: Mapping[str, Any] = {}
    with suppress(UsageError):  # which is reported when the folder is read
        config = read_json(config_file, config_file.parents[2])
    missing = [name for name in own_files(config) if name != CARD and find(name) is None]
    return None if missing else config_file.parent


def _remember(folder: Path, revision: str, commit: str) -> None:
    """Note in the cache what commit a branch or tag points to: `refs/NAME` beside `snapshots`."""
    if revision == commit:
        return
    note = folder.parents[1] / "refs" / revision
    if note.is_file() and note.read_text(encoding="utf-8") == commit:
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(note) as temporary:
        temporary.write_text(commit, encoding="utf-8")
