"""The parts of `scripts/benchmark.py`.

`arena.py` starts the contestants and lets them run in turns, `worker.py` is a contestant's end of the
conversation, `report.py` makes table and JSON of what they measured. Each command has a file of its own name
(`tokenize` is `tokenization.py`). Ours is built in `ours.py`; what it is compared with is in `tutorial.py`,
`limit.py` and `peers.py`.
"""
