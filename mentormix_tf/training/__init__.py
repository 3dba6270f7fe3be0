"""Training: how a run goes, and what it leaves behind."""
