"""Versions and weights: what does not fit the model is named."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.folder import FORMAT_VERSION, check_version
from nlp_rnn.storage.stored import check_weights
from nlp_rnn.tasks.pretrained import from_pretrained


def header_of(path):
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    return content[8 : 8 + size].decode(), content[8 + size :]


def write_safetensors(path, header, data):
    path.write_bytes(struct.pack("<Q", len(header.encode())) + header.encode() + data)


def doubled(path):
    header, data = header_of(path)
    entries = json.loads(header)
    entry = json.dumps(entries["fc_out.bias"])
    write_safetensors(path, f'{header.rstrip()[:-1]},"fc_out.bias":{entry}}}', data)


def with_weights(change):
    def damage(path):
        weights = load_file(path)
        change(weights)
        save_file(weights, path)

    return damage


WEIGHTS = {
    "empty": (lambda path: path.write_bytes(b""), "damaged or not a safetensors file"),
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        "damaged or not a safetensors file",
    ),
    "truncated header": (
        lambda path: path.write_bytes(path.read_bytes()[:50]),
        "damaged or not a safetensors file",
    ),
    "header bomb": (
        lambda path: path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}"),
        "damaged or not a safetensors file (a header of",
    ),
    "header of brackets": (
        lambda path: write_safetensors(path, "[" * 200_000, b""),
        "damaged or not a safetensors file",
    ),
    "duplicate keys": (doubled, "'fc_out.bias' occurs 2 times in its header"),
    "missing tensor": (with_weights(lambda w: w.pop("fc_out.bias")), "tensor fc_out.bias is missing"),
    "additional tensor": (
        with_weights(lambda w: w.update(backdoor=torch.zeros(1))),
        "tensor backdoor is not part of this model",
    ),
    "wrong shape": (
        with_weights(lambda w: w.update({"fc_out.bias": torch.zeros(3)})),
        "tensor fc_out.bias has shape [3], but settings and vocabulary require [2]",
    ),
    "NaN": (
        with_weights(lambda w: w["embedding.weight"][3].fill_(float("nan"))),
        "tensor embedding.weight contains NaN",
    ),
    "opposite infinities": (
        with_weights(lambda w: w.update({"fc_out.bias": torch.tensor([float("inf"), -float("inf")])})),
        "tensor fc_out.bias contains NaN or infinite values",
    ),
    "a pickle": (lambda path: torch.save({"a": 1}, path), "damaged or not a safetensors file"),
    "missing": (lambda path: path.unlink(), "no such file"),
}


def forget_checksums(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["checksums"]
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("case", WEIGHTS)
def test_damaged_weights(folder, case, refused):
    damage, message = WEIGHTS[case]
    path = folder / "model.safetensors"
    damage(path)
    refused(folder, path, message)


def test_a_flipped_bit_of_the_weights_is_refused(folder, refused):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1  # of a number, which stays finite
    path.write_bytes(content)
    refused(folder, folder / "config.json", "the weights were altered after the model was saved")
    forget_checksums(folder)
    assert from_pretrained(folder).name == "sentiment"


def test_half_precision_weights_load(folder):
    """They are smaller to send, and the model is the same within their precision."""
    before = from_pretrained(folder).model.state_dict()
    forget_checksums(folder)
    with_weights(lambda w: w.update({key: value.half() for key, value in w.items()}))(
        folder / "model.safetensors"
    )
    after = from_pretrained(folder).model.state_dict()
    assert all(value.dtype == torch.float32 for value in after.values())
    assert all(torch.allclose(value, after[key], atol=1e-2) for key, value in before.items())


def test_an_embedding_that_does_not_fit_the_tokenizer(trained, folder, refused):
    size = len(trained[1]["sentiment"].processor.tokens)
    with_weights(lambda w: w.update({"embedding.weight": torch.zeros(size + 7, 8)}))(
        folder / "model.safetensors"
    )
    refused(folder, "model.safetensors", f"shape [{size + 7}, 8]", f"require [{size}, 8]")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "it has no format_version"),
        ({"format_version": "1"}, "it has no"),
        ({"format_version": 99}, "upgrade"),
    ],
)
def test_versions_that_cannot_be_read(config, message):
    check_version({"format_version": FORMAT_VERSION}, Path("config.json"))
    with pytest.raises(UsageError, match=rf"config\.json: .*{message}"):
        check_version(config, Path("config.json"))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "tensor a is missing"),
        ({"a": torch.zeros(2), "b": torch.zeros(1)}, "tensor b is not part of this model"),
        ({"a": torch.zeros(3)}, r"tensor a has shape \[3\], but settings and vocabulary require \[2\]"),
        ({"a": torch.zeros(2, dtype=torch.int8)}, "a is not a tensor of floating-point numbers"),
        ({"a": torch.tensor([0.0, torch.inf])}, "tensor a contains NaN or infinite values"),
    ],
)
def test_weights_that_do_not_fit(weights, message):
    expected = {"a": torch.zeros(2)}
    check_weights({"a": torch.ones(2, dtype=torch.float16)}, expected, Path("w"))
    with pytest.raises(UsageError, match=f"^w: {message}$"):
        check_weights(weights, expected, Path("w"))


def test_int8_weights_must_be_int8():
    expected = {"a": torch.zeros(2, dtype=torch.int8)}
    check_weights(expected, expected, Path("w"))
    with pytest.raises(UsageError, match="a is not a tensor of 8-bit integers"):
        check_weights({"a": torch.zeros(2)}, expected, Path("w"))
