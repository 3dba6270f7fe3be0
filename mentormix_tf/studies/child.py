"""What the process imports from which a study's runs are forked: TensorFlow and all that trains."""

from mentormix_tf import backend

backend.load()

from mentormix_tf.rounds import comparison  # noqa: E402  # after TensorFlow, which is loaded quietly

__all__ = ["comparison"]
