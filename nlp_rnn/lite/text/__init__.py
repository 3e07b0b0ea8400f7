"""Reading inputs: text and numbers to ids and vectors, in batches."""
