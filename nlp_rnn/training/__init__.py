"""Training and measuring by a configuration: Lightning's command line, with a run directory per fit."""

VERBS = {
    "fit": "train a model; leaves a run directory with checkpoints, learning curves and a model folder",
    "validate": "measure a trained model on its validation split; prints the metrics as JSON",
    "test": "measure a trained model on its test split; prints the metrics as JSON",
    "predict": "write the answers to a test split as JSON lines",
}
"""The verbs that take a configuration, each with what it does in one line."""
