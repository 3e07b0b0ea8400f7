"""Models on disk and on the hub, as plain settings and tensors: knows no task."""
