"""Other ways to name classes than a network's softmax, and the features that they look at."""
