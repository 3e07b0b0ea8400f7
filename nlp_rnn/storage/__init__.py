"""Models on disk and on the hub, as plain settings and tensors. Nothing here depends on a task."""
