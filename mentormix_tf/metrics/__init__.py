"""What predictions are worth, as numbers and as pictures."""
