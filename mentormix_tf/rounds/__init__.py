"""Trainings of several runs: methods that train more than once, and comparisons of methods."""
