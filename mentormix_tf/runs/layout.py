"""The names of what a run's folder holds."""

FLAGS = "flags.txt"  # a flagfile that repeats the run
MODEL = "model.json"  # what it takes to use the network without the data
METRICS = "metrics.csv"  # a row for each evaluation
RESULT = "result.json"  # written when all steps are done
CONFUSION_MATRIX = "confusion_matrix.csv"
CONFUSION_PICTURE = "confusion_matrix.png"
CHECKPOINTS = "checkpoints"
BEST = "best"  # in CHECKPOINTS: the highest accuracy on the noisy validation split
TENSORBOARD = "tensorboard"

# What other commands add.
EVALUATIONS = "evaluation"  # a folder for each evaluation, with a confusion matrix and this file:
EVALUATION = "evaluation.json"
EXPORTS = "export"  # a folder for each version of the SavedModel
