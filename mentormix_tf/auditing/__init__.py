"""Audits: which labels of a training set are wrong, and how many."""
