"""Models on a hub, which runs on loopback: download, cache, and what goes wrong."""

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub
import pytest
import torch
from hub_server import READER, TOKEN, Repo

from nlp_rnn import from_pretrained, pipeline
from nlp_rnn.errors import UsageError
from nlp_rnn.storage.hub import HubAccess, check_repo_id


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def model(trained, hub):
    """The repository me/mine: a sentiment model in its first commit, v1, and a tagger in main."""
    home, _ = trained
    repo = hub.repos["me/mine"] = Repo(private=False)
    repo.commit("main", {".gitattributes": b"", "notes.json": b"{}", **content(home / "sentiment")})
    repo.refs["v1"] = repo.refs["main"]
    repo.commit("main", content(home / "tagging"))
    return repo


def same_weights(task, other):
    ours, theirs = task.model.state_dict(), other.model.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_branch_a_tag_and_a_commit(model, trained, hub):
    _, made = trained
    assert same_weights(from_pretrained("me/mine"), made["tagging"])
    assert same_weights(from_pretrained("me/mine", revision="v1"), made["sentiment"])
    hub.requests.clear()
    assert from_pretrained("me/mine", revision=model.refs["v1"]).name == "sentiment"
    assert hub.requests == []  # a commit never changes
    assert not hub.of("GET", "notes.json")
    assert not hub.of("GET", ".gitattributes")


def test_a_cached_model_is_not_downloaded_again(model, hub):
    from_pretrained("me/mine")
    hub.requests.clear()
    from_pretrained("me/mine")
    assert hub.requests == [("GET", "/api/models/me/mine")]


def test_a_branch_that_moves_is_followed(model, trained, hub):
    home, _ = trained
    assert from_pretrained("me/mine").name == "tagging"
    model.commit("main", content(home / "translation"))
    assert from_pretrained("me/mine", local_files_only=True).name == "tagging"
    assert from_pretrained("me/mine").name == "translation"
    assert from_pretrained("me/mine", local_files_only=True).name == "translation"


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_offline(how, model, hub, refused, monkeypatch):
    if how == "variable":
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    options = {"local_files_only": True} if how == "argument" else {}
    with pytest.raises(UsageError, match="does not hold the whole of revision 'main'"):
        from_pretrained("me/mine", **options)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    from_pretrained("me/mine")
    hub.requests.clear()
    if how == "variable":
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert from_pretrained("me/mine", **options).name == "tagging"
    assert pipeline("tagging", "me/mine", **options)("i work").keys()
    assert hub.requests == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (("GET", "/api/models", "silent"), "the hub did not answer within 0.3 s"),
        (("GET", "/api/models", (429, ("Retry-After", "7"))), "(429); try again in 7 s"),
        (("GET", "/api/models", (429,)), "(429); try again later"),
        (("GET", "/api/models", (503,)), "the hub fails (503)"),
        (("HEAD", "config.json", "silent"), "0.3 s"),
        (("HEAD", "model.safetensors", (429, ("Retry-After", "3600"))), "(429); try again in 3600 s"),
        (("GET", "tokenizer.words.json", "silent"), "0.3 s"),
        (("GET", "/lfs/", "cut"), "0.3 s"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_hub_that_does_not_answer(fault, expected, model, hub, tmp_path, caplog):
    """One line in time, nothing half-written in the cache; the cached copy is used if there is one."""
    hub.faults.append(fault)
    start = time.monotonic()
    with pytest.raises(UsageError) as caught:
        from_pretrained("me/mine", timeout=0.3)
    assert time.monotonic() - start < 10  # the library alone takes half a minute and more
    assert str(caught.value).startswith("me/mine: there is no such folder, and ")
    assert expected in str(caught.value)
    with pytest.raises(UsageError, match="does not hold the whole"):
        from_pretrained("me/mine", local_files_only=True)
    whole = {*content_hashes(model)}
    for path in (tmp_path / "hub").rglob("*/snapshots/*/*"):
        assert path.read_bytes() in whole
    hub.faults.clear()
    assert from_pretrained("me/mine").name == "tagging"
    hub.faults.append(("GET", "/api/models", (503,)))
    with caplog.at_level(logging.WARNING):
        assert from_pretrained("me/mine", timeout=0.3).name == "tagging"
    assert "me/mine: the hub fails (503); try again later; the copy in the local cache is used" in caplog.text


def content_hashes(repo):
    return {data for files in repo.commits.values() for data in files.values()}


def test_without_a_connection(model, hub, monkeypatch):
    from_pretrained("me/mine")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")  # nothing listens there
    assert from_pretrained("me/mine").name == "tagging"
    with pytest.raises(UsageError, match=r"the hub cannot be reached \(ConnectError\); check the connection"):
        from_pretrained("me/other")


@pytest.mark.parametrize(
    ("repo_id", "options", "expected"),
    [
        ("me/none", {}, "the hub has no such model, or it is private"),
        ("me/none", {"token": TOKEN}, "the hub has no such model, or it is private"),
        ("me/mine", {"revision": "v9"}, "the hub has no revision 'v9' of this model"),
        ("me/mine", {"token": "hf_wrong"}, "refuses the token, or there is none (401)"),
        ("me/hidden", {}, "set HF_TOKEN to a token that is valid there"),
        ("me/mine", {"token": "hf two words"}, "the token has characters that no token has"),
        ("me/mine", {"timeout": 0}, "timeout must be between"),
        ("me/empty", {}, "revision 'main' has no config.json, so it is no model of nlp_rnn"),
        ("me/half", {}, "tokenizer.characters.json"),
        ("me/mine--x", {}, "no id of a model on the hub"),
        ("a b/c", {}, "no id of a model on the hub"),
    ],
)
def test_what_the_hub_refuses(repo_id, options, expected, model, trained, hub):
    home, _ = trained
    hub.repos["me/hidden"] = Repo(True, model.commits, model.refs)
    hub.repos["me/empty"] = Repo(False)
    hub.repos["me/empty"].commit("main", {"README.md": b"", "model.safetensors": b""})
    hub.repos["me/half"] = Repo(False)
    files = content(home / "tagging")
    files.pop("tokenizer.characters.json")
    hub.repos["me/half"].commit("main", files)
    with pytest.raises(UsageError) as caught:
        from_pretrained(repo_id, **options)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    for token in (TOKEN, "hf_wrong", "two words"):
        assert token not in message


@pytest.mark.parametrize("status", [403, 418])
def test_other_refusals(status, model, hub):
    hub.faults.append(("GET", "/api/models", (status,)))
    expected = "may not read this repository" if status == 403 else "refuses (418): no reason given"
    with pytest.raises(UsageError, match=f"{expected}".replace("(", r"\(").replace(")", r"\)")):
        from_pretrained("me/mine")


def test_a_private_model_and_its_token(model, trained, hub, monkeypatch):
    model.private = True
    assert from_pretrained("me/mine", token=READER).name == "tagging"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert from_pretrained("me/mine", revision="v1").name == "sentiment"
    assert hub.tokens_at_the_store == {""}  # large files are on another host, which is not told


def test_what_is_no_hub_is_refused(model, hub):
    hub.faults.append(("GET", "/api/models", (200,)))
    with pytest.raises(UsageError, match="does not answer as a hub does"):
        from_pretrained("me/mine")


def test_a_revision_is_for_the_hub(trained):
    home, _ = trained
    for source in (home / "sentiment", home / "sentiment.ckpt"):
        with pytest.raises(UsageError, match="which has no revision"):
            from_pretrained(source, revision="v1")


def test_the_time_out_is_that_of_the_environment(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_ETAG_TIMEOUT", 3)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 20)
    assert HubAccess().seconds == (3, 20)
    assert HubAccess(timeout=1.5).seconds == (1.5, 1.5)
    assert "secret" not in repr(HubAccess(token="secret"))


@pytest.mark.parametrize("repo_id", ["me/mine", "a-b/c.d_e"])
def test_ids(repo_id):
    check_repo_id(repo_id)


def test_a_full_disk_is_named(model, hub, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, os.strerror(28), str(Path("/cache/blob")))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(RuntimeError, match=r"/cache/blob.*No space left"):
        from_pretrained("me/mine")


def test_the_hooks_of_the_library_are_as_before(model, hub):
    hooks = huggingface_hub.get_session().event_hooks
    before = {name: [*functions] for name, functions in hooks.items()}
    from_pretrained("me/mine")
    assert hooks == before


def test_threads_load_at_the_same_time(model, hub, tmp_path, monkeypatch):
    with ThreadPoolExecutor(6) as pool:
        loaded = list(pool.map(lambda _: from_pretrained("me/mine").name, range(6)))
    assert loaded == ["tagging"] * 6
    assert len(hub.of("GET", "/lfs/")) == 1


@pytest.mark.parametrize("verb", ["predict", "evaluate", "quantize", "inspect"])
def test_verbs_take_a_revision(verb, model, run, tmp_path):
    """The first commit is a sentiment model; main is a tagger."""
    (tmp_path / "texts.txt").write_text("the work is good .\n")
    (tmp_path / "test.tsv").write_text("text\tlabel\nthe work is good .\t1\n")
    arguments = {
        "predict": [str(tmp_path / "texts.txt")],
        "evaluate": ["--data", str(tmp_path / "test.tsv"), "--split", "all"],
        "quantize": [str(tmp_path / "small")],
        "inspect": ["the work is good .", "--output", str(tmp_path / "inside")],
    }[verb]
    code, output, error = run(verb, "me/mine", *arguments, "--model-revision", "v1")
    assert code == 0, error
    if verb == "predict":
        assert output in ("positive\n", "negative\n")
    elif verb == "evaluate":
        assert '"task": "sentiment"' in output
    elif verb == "quantize":
        assert from_pretrained(tmp_path / "small").name == "sentiment"
    else:
        assert "probabilities" in output
    code, _, error = run(verb, "me/mine", *arguments, "--model-revision", "v9")
    assert (code, "has no revision 'v9'" in error) == ((2, True) if verb != "quantize" else (2, False))
