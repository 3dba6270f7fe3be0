"""From a run to a service: its network read back, images classified, a SavedModel written."""
