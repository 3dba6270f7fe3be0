"""What can be measured: a module each, with `measure(size)`, which returns measurements."""

__all__ = ["SUBJECTS"]

SUBJECTS = {
    "step": "training steps of methods, with and without XLA",
    "kernels": "a step with TensorFlow's own kernels and with oneDNN's",
    "loop": "fit and the train command's loop against a hand-written loop",
    "replicas": "a step on one and on two virtual CPU devices",
    "examples": "a step with few and with many training examples",
    "pipeline": "CIFAR batches by stage of the pipeline",
    "jpeg": "JPEG batches against plain tf.data and torchvision",
    "data_service": "processor time of batches made here and by servers",
    "start": "from the start of the command to its help and to the first step",
    "checkpoint": "saving and restoring a run",
    "evaluation": "evaluating a network, and reporting it to TensorBoard",
    "audit": "judging labels",
    "memory": "peak memory by batch size and size of the data set",
    "data_memory": "peak memory by size of the data set, in memory and streamed",
    "jobs": "a study with one and with two runs at once",
    "others": "the same step in PyTorch",
}
