"""Studies: trains grids of runs, chooses settings, and makes tables and figures of the results."""
