"""Where training runs: strategies, what replicas share, the replicated Keras model."""
