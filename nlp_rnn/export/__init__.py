"""Export: a trained model in another form, which runs without this package's models."""
