"""The parts of `scripts/benchmark.py`.

Every contestant runs in a process of its own. `interleaving.py` starts the processes and lets them run in
turns; `worker.py` is the contestant's side of that conversation; `report.py` turns the measurements into a
table and a JSON document. `commands.py` says who takes part in each command.

Contestants of this package: `training.py`, `inference.py`, `tokenization.py`, `synthetic.py`, `startup.py`,
built from the settings in `recipes.py`. What they are compared with: a typical tutorial (`tutorial.py`,
`tutorial_contestants.py`), the limit of the hardware (`hardware_limit.py`, `flops.py`) and other toolkits
(`baselines.py`, `peers.py`, `peer_*.py`).
"""
