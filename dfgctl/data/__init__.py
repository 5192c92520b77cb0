"""The data sets: which there are, how they load, how they are made imbalanced, and batches."""
