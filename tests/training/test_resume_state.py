"""What resumes exactly; tests/tasks/test_exact_resume.py has whole runs."""

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from nlp_rnn.training.resume_state import _part, _part_like


@pytest.fixture
def mesh():
    """One device, as one of several is seen from it."""
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_a_gradient_of_another_number_of_devices_is_left_out(mesh):
    values = torch.arange(8.0).view(4, 2)
    divided = distribute_tensor(values, mesh, [Shard(0)])
    restored = _part_like(divided, _part(divided))
    assert restored.placements == divided.placements
    assert torch.equal(restored.full_tensor(), values)
    assert _part_like(divided, values[:2]) is None
    assert _part_like(values, values) is values
