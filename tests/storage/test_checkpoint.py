"""A checkpoint is written whole or not at all, and any damage to it is found."""

import random
import resource

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.storage.checkpoint import DamagedCheckpointError, check_sums, read_checkpoint, write_checkpoint
from nlp_rnn.tasks.pretrained import from_pretrained

CHECKPOINT = {"state_dict": {f"w{i}": torch.arange(12.0).view(3, 4) + i for i in range(3)}, "epoch": 3}


@pytest.fixture
def path(tmp_path):
    write_checkpoint(CHECKPOINT, tmp_path / "new" / "a.ckpt")
    return tmp_path / "new" / "a.ckpt"


def same(checkpoint):
    weights = checkpoint["state_dict"]
    return (
        checkpoint.keys() == CHECKPOINT.keys()
        and checkpoint["epoch"] == 3
        and all(torch.equal(weights[name], value) for name, value in CHECKPOINT["state_dict"].items())
    )


def test_what_was_written_is_read(path):
    assert same(read_checkpoint(path))
    assert same(torch.load(path, weights_only=True))
    assert list(path.parent.iterdir()) == [path]


def test_checkpoints_that_torch_wrote_have_checksums_too(tmp_path):
    torch.save(CHECKPOINT, tmp_path / "a.ckpt")
    assert same(read_checkpoint(tmp_path / "a.ckpt"))
    content = bytearray((tmp_path / "a.ckpt").read_bytes())
    content[content.index(CHECKPOINT["state_dict"]["w1"].numpy().tobytes()) + 5] ^= 1
    (tmp_path / "a.ckpt").write_bytes(content)
    assert not same(torch.load(tmp_path / "a.ckpt", weights_only=True))  # which torch does not notice
    with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt: damaged: the checksum of \S+ is wrong"):
        check_sums(tmp_path / "a.ckpt")


def test_a_bit_that_says_compressed_is_damage(path):
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 10] ^= 8  # the compression method of the last part
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match="compressed, which torch never does"):
        read_checkpoint(path)


def test_no_damage_gives_other_values(path):
    content = path.read_bytes()
    chance, refused = random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(content)
        start = chance.randrange(len(content))
        match chance.choice(("bit", "zeros", "cut")):
            case "bit":
                damaged[start] ^= 1 << chance.randrange(8)
            case "zeros":
                damaged[start : start + 100] = bytes(len(damaged[start : start + 100]))
            case "cut":
                del damaged[start:]
        path.write_bytes(damaged)
        try:
            checkpoint = read_checkpoint(path)
        except DamagedCheckpointError:
            refused += 1
        else:  # damage to filling bytes between the parts, or to dates
            assert same(checkpoint)
    assert refused > 150


@pytest.mark.parametrize("content", [b"", b"PK"])
def test_an_empty_file(path, content):
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(path)


def test_a_bit_flipped_checkpoint_of_a_model_is_refused(trained, tmp_path, refused):
    task = trained[1]["sentiment"]
    content = bytearray((trained[0] / "sentiment.ckpt").read_bytes())
    weights = next(iter(task.model.state_dict().values())).numpy().tobytes()
    content[content.index(weights)] ^= 64
    (tmp_path / "flipped.ckpt").write_bytes(content)
    refused(tmp_path / "flipped.ckpt", "flipped.ckpt: damaged: the checksum of")
    assert from_pretrained(trained[0] / "sentiment.ckpt").name == "sentiment"


@pytest.mark.parametrize("limit", [100, 2_000, 1_500_000, 2_500_000])
def test_a_full_disk_leaves_the_earlier_checkpoint(path, limit):
    """A limit on the size of files stands for the end of the disk."""
    large = {f"w{i}": torch.zeros(200_000) for i in range(4)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(UsageError, match=r"a\.ckpt: cannot be written \(File too large\)"):
            write_checkpoint(large, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert same(read_checkpoint(path))
    assert list(path.parent.iterdir()) == [path]
