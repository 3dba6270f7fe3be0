"""Names of the files and folders in a run's folder."""

__all__ = [
    "AUDIT",
    "AUDIT_PAGE",
    "AUDIT_SUMMARY",
    "AUDIT_TABLE",
    "AUDIT_TRANSITIONS",
    "BACKBONE",
    "BEST",
    "CHECKPOINTS",
    "CONFUSION_MATRIX",
    "CONFUSION_PICTURE",
    "EVALUATION",
    "EVALUATIONS",
    "EXAMPLES",
    "EXPORTS",
    "FLAGS",
    "METRICS",
    "MODEL",
    "NETWORK",
    "RESULT",
    "ROG",
    "ROUNDS",
    "TENSORBOARD",
    "TRACKER",
]

FLAGS = "flags.txt"  # a flagfile that repeats the run
MODEL = "model.json"  # what is needed to use the network without the data
NETWORK = "network.json"  # the layers of a network that came from a file
BACKBONE = "backbone.npz"  # weights of the layers before a head that trained alone
METRICS = "metrics.csv"  # a row for each evaluation
RESULT = "result.json"  # written when all steps are done
ROG = "rog.npz"  # heads on features, with --inference=rog
CONFUSION_MATRIX = "confusion_matrix.csv"
CONFUSION_PICTURE = "confusion_matrix.png"
EXAMPLES = "examples.npz"  # statistics of each training example, with --audit
CHECKPOINTS = "checkpoints"
BEST = "best"  # in CHECKPOINTS: the highest accuracy on the noisy validation split
TENSORBOARD = "tensorboard"
TRACKER = "tracker.json"  # the ids of the run in trackers, with --tracker

ROUNDS = "rounds"  # the runs before this one, with --rounds

# Added by other commands.
EVALUATIONS = "evaluation"  # a folder for each, with a confusion matrix and this file:
EVALUATION = "evaluation.json"
EXPORTS = "export"  # a folder for each version of the SavedModel
AUDIT = "audit"  # a folder with these files:
AUDIT_TABLE = "audit.csv"
AUDIT_PAGE = "audit.html"
AUDIT_SUMMARY = "audit.json"
AUDIT_TRANSITIONS = "transition_matrix.csv"
