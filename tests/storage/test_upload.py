"""Uploading model folders to a hub, which runs on loopback."""

import time

import pytest
from hub_server import READER, TOKEN, Repo

from nlp_rnn import from_pretrained, push_to_hub
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.pretrained import save_pretrained


def test_upload_and_download(folder, trained, hub):
    done = push_to_hub(folder, "me/mine", token=TOKEN)
    repo = hub.repos["me/mine"]
    assert not repo.private
    assert repo.refs["main"] == done.commit
    assert done.url.endswith(f"/me/mine/commit/{done.commit}")
    for path in folder.iterdir():
        assert repo.commits[done.commit][path.name] == path.read_bytes()
    assert from_pretrained("me/mine", revision=done.commit).name == "sentiment"


def test_other_files_stay_at_home(folder, hub):
    (folder / ".env").write_text("KEY=secret")
    (folder / "notes.ipynb").write_text("{}")
    (folder / "data").mkdir()
    (folder / "data" / "rows.csv").write_text("")
    done = push_to_hub(folder, "me/mine", token=TOKEN)
    assert done.files.others == [".env", "data/", "notes.ipynb"]
    assert {*hub.repos["me/mine"].commits[done.commit]} == {*done.files.own, ".gitattributes"}


def test_branches_and_private(folder, trained, hub, tmp_path):
    first = push_to_hub(folder, "me/mine", private=True, revision="trial", token=TOKEN)
    repo = hub.repos["me/mine"]
    assert repo.private
    assert repo.refs["trial"] == first.commit != repo.refs["main"]
    other = save_pretrained(trained[1]["tagging"], tmp_path / "other")
    push_to_hub(other, "me/mine", private=True, revision="trial", token=TOKEN)  # both exist
    assert from_pretrained("me/mine", revision="trial", token=TOKEN).name == "tagging"
    repo.private = False
    commits = len(repo.commits)
    with pytest.raises(UsageError, match="exists and is public; nothing was uploaded"):
        push_to_hub(folder, "me/mine", private=True, token=TOKEN)
    assert len(repo.commits) == commits


def test_a_pull_request(folder, trained, hub, tmp_path):
    main = push_to_hub(folder, "me/mine", token=TOKEN).commit
    other = save_pretrained(trained[1]["tagging"], tmp_path / "other")
    done = push_to_hub(other, "me/mine", create_pr=True, token=READER)
    assert done.url.endswith("/me/mine/discussions/1")
    assert hub.repos["me/mine"].refs["main"] == main
    assert from_pretrained("me/mine", revision=done.commit).name == "tagging"
    assert from_pretrained("me/mine").name == "sentiment"
    with pytest.raises(UsageError, match="leave out its revision"):
        push_to_hub(other, "me/mine", create_pr=True, revision="x", token=TOKEN)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "refuses the token, or there is none (401)"),
        ({"token": "hf_wrong"}, "refuses the token, or there is none (401)"),
        ({"token": READER}, "may not write to this repository (403)"),
        ({"token": TOKEN, "create_pr": True, "repo_id": "me/none"}, "the hub has no such model"),
        ({"token": TOKEN, "repo_id": "mine"}, "no id of a model on the hub"),
        ({"token": TOKEN, "repo_id": "me/mine me"}, "no id of a model on the hub"),
    ],
)
def test_what_the_hub_refuses(options, expected, folder, hub):
    with pytest.raises(UsageError) as caught:
        push_to_hub(folder, **{"repo_id": "me/mine", **options})
    assert expected in str(caught.value)
    assert "hf_" not in str(caught.value)
    assert all(len(repo.commits) <= 1 for repo in hub.repos.values())


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (("POST", "/repos/create", "silent"), "not uploaded, for the hub did not answer within 0.3 s"),
        (("PUT", "/lfs/", "silent"), "not uploaded, for the hub"),
        (("POST", "/commit/", "silent"), "not uploaded, for the hub did not answer within 0.3 s"),
        (("POST", "/commit/", (429, ("Retry-After", "60"))), "try again in 60 s"),
        (("POST", "/preupload/", (429,)), "try again later"),
        (("POST", "/preupload/", (502,)), "the hub fail"),
    ],
)
def test_a_hub_that_does_not_answer(fault, expected, folder, hub):
    hub.faults.append(fault)
    start = time.monotonic()
    with pytest.raises(UsageError, match=expected):
        push_to_hub(folder, "me/mine", token=TOKEN, timeout=0.3)
    assert time.monotonic() - start < 10  # the library alone takes half a minute and more
    assert all(len(repo.commits) == 1 for repo in hub.repos.values())


def test_a_damaged_folder_is_not_uploaded(folder, hub, tmp_path):
    hub.repos["me/mine"] = Repo(False)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(UsageError, match="the weights were altered"):
        push_to_hub(folder, "me/mine", token=TOKEN)
    for missing in (tmp_path / "none", folder / "config.json"):
        with pytest.raises(UsageError, match="not a model folder"):
            push_to_hub(missing, "me/mine", token=TOKEN)
    assert hub.requests == []


def test_a_card_that_is_a_link_out_of_the_folder_is_not_uploaded(folder, hub, tmp_path):
    (tmp_path / "secret").write_text("key")
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match="points outside the model folder"):
        push_to_hub(folder, "me/mine", token=TOKEN)
    assert hub.requests == []


def test_offline(folder, monkeypatch):
    with pytest.raises(UsageError, match="cannot upload while HF_HUB_OFFLINE is set"):
        push_to_hub(folder, "me/mine", token=TOKEN)
