"""Pages: results that people look at in a browser."""
