"""Where training runs: strategies, collectives between replicas, the replicated Keras model."""
