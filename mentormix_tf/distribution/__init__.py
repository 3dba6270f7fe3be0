"""Where training runs: strategies, what replicas share, the replicated Keras model."""

from mentormix_tf import backend

backend.check()  # here, where Keras and TensorFlow are first needed
