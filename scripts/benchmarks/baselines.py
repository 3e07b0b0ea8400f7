"""Other toolkits as contestants: find those that are installed, write their data, and list their commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.options import Options
from benchmarks.worker import Channel
from nlp_rnn.data import Corpus


def prepare(options: Options, channel: Channel, folder: str) -> None:
    """Prepare the corpus for the installed toolkits.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark. Facts: `commands`, contestant name -> command, and `missing`,
            one line per toolkit that is not installed.
        folder: where to write the corpus.
    """
    interpreters = dict(pair.split("=", 1) for pair in options.peers)
    job: Any = options.command
    suitable = [peer for peer in peers.find_peers(interpreters, options.task) if job in peer.jobs]
    installed = [peer for peer in suitable if peer.interpreter is not None]
    if installed:
        corpus = Corpus(options.data, max_examples=options.max_examples)
        peers.write_corpus(options.task, corpus, Path(folder))
    commands = {
        name: peers.build_command(peer, job, Path(folder), batch_size=batch_size, beam=beam)
        for peer in installed
        for name, batch_size, beam in _variants(options, peer.name)
    }
    missing = [peer.install_hint for peer in suitable if peer.interpreter is None]
    for _ in channel.rounds({"commands": commands, "missing": missing}):
        pass


def _variants(options: Options, name: str) -> list[tuple[str, int, int]]:
    """List the name in tables, the batch size and the beam width of each contestant of a toolkit."""
    if options.command == "train":
        return [(name, options.batch_size, 1)]
    if options.command == "tag":
        return [(f"{name}, batch {size}", size, 1) for size in (32, 256)]
    return [
        (f"{name}, greedy, one at a time", 1, 1),
        (f"{name}, greedy, batch 512", 512, 1),
        (f"{name}, beam 5, batch 128", 128, 5),
    ]
