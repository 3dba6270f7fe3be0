"""Data: where images come from, how their labels are made noisy, and how batches are fed."""
