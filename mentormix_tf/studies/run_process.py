"""Trains a run of a study in a process of its own."""

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from multiprocessing.process import BaseProcess

from etils import epath

from mentormix_tf import console
from mentormix_tf.config import OutputConfig, RunConfig, StrategyConfig

__all__ = ["LOG", "failure", "start"]

_log = logging.getLogger(__name__)

LOG = "log.txt"


def start(config: RunConfig, path: epath.PathLike, gpus: str | None = None) -> BaseProcess:
    """Starts a process that trains as `mentormix_tf.train` does, and prints to log.txt.

    It is forked from a process that has imported TensorFlow. On SIGTERM, and if the process that
    started it ends, it saves a checkpoint and ends; started again, it resumes.

    Args:
        config: the run.
        path: its folder, which is made if it is missing.
        gpus: the GPUs to use, as in CUDA_VISIBLE_DEVICES; None for those of this process.
    """
    path = epath.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    # Not forked from this process: the copy would have its threads' locks without the threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mentormix_tf.studies.child"])
    process = context.Process(target=_train, args=(config, str(path), gpus))
    process.start()
    return process


def failure(exitcode: int | None, path: epath.PathLike) -> str:
    """Why a run failed, in one line; "" if it did not.

    Args:
        exitcode: the exit code of its process.
        path: its folder.
    """
    if not exitcode:
        return ""
    if exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    try:
        log = epath.Path(path) / LOG
        *_, last = log.read_bytes().decode(errors="replace").strip().splitlines()
    except (OSError, ValueError):
        return f"it ended with status {exitcode} and printed nothing"
    return last


def _train(config, path, gpus):
    output = os.open(f"{path}/{LOG}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # runs may share a GPU's memory
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    sys.exit(console.exit_status(lambda: _train_one(config, path)))


def _train_one(config, path):
    from mentormix_tf.distribution import strategies
    from mentormix_tf.rounds import comparison

    strategy = strategies.get(StrategyConfig())
    runs, outputs = {config.method: config}, {config.method: OutputConfig(model_dir=path)}
    _log.info("%s", comparison.table(comparison.train(runs, outputs, strategy)))


def _stop_with_parent():
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
