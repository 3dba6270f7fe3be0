"""A run's folder: the names of its files, writing them, and reading them back."""
