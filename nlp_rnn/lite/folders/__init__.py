"""Model folders: their files and tensors, checked."""
