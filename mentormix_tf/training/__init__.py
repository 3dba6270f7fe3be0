"""Runs training: steps, evaluations, checkpoints and reports."""
