"""Grids of runs, the choice of settings, and the tables and figures that are made from results."""
