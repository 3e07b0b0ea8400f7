"""What a trained model computes while it reads a text, and how it is written to files."""
