"""Data sets, label noise, and the input pipeline."""
