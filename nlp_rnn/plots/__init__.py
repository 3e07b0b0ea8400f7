"""All plots: learning curves, confusion matrices, BLEU by length, heat maps."""
