"""Measuring predictions: accuracy, calibration, confusion matrices, and plots of them."""
