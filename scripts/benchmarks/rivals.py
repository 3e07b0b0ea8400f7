"""Peers as contestants: which are installed, their data, and how each is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.given import Given
from benchmarks.worker import Caller
from nlp_rnn.data import Corpus


def find(given: Given, caller: Caller, folder: str) -> None:
    """Say who there is: name -> command; and a line for each who is missing."""
    interpreters = dict(pair.split("=", 1) for pair in given.peers)
    job: Any = given.command
    found = [peer for peer in peers.available(interpreters, given.task) if job in peer.jobs]
    present = [peer for peer in found if peer.interpreter is not None]
    if present:
        corpus = Corpus(given.data, max_examples=given.max_examples)
        peers.prepare(given.task, corpus, Path(folder))
    commands = {
        name: peers.command(peer, job, Path(folder), batch=batch, beam=beam)
        for peer in present
        for name, batch, beam in _variants(given, peer.name)
    }
    missing = [peer.hint for peer in found if peer.interpreter is None]
    for _ in caller.rounds(commands=commands, missing=missing):
        pass


def _variants(given: Given, name: str) -> list[tuple[str, int, int]]:
    """Each with its name in tables, batch size and width of the beam."""
    if given.command == "train":
        return [(name, given.batch_size, 1)]
    if given.command == "tag":
        return [(f"{name}, batch {size}", size, 1) for size in (32, 256)]
    greedy = [(f"{name}, greedy, one at a time", 1, 1), (f"{name}, greedy, batch 512", 512, 1)]
    return [*greedy, (f"{name}, beam 5, batch 128", 128, 5)]
