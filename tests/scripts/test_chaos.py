"""Runs that are killed at random moments end as the undisturbed ones do; scripts/chaos.py kills many more."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
@pytest.mark.nightly
def test_killed_runs_end_as_undisturbed_ones(tmp_path):
    done = subprocess.run(
        [sys.executable, "scripts/chaos.py", "--kills", "2", "--other", str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["kills"] >= 2
    assert counts["resumes"] >= 1
    assert sum(counts[name] for name in counts if name.startswith("equal")) == counts["runs"]
