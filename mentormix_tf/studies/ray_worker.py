"""What a Ray cluster's nodes do for a study: they check themselves, and train runs."""

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
import signal
import time
import uuid
from collections.abc import Iterator, Mapping

from etils import epath

from mentormix_tf import backend, files, version
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.studies import run_process

__all__ = ["CLAIM", "SECONDS_BETWEEN_CLAIMS", "Claim", "Driver", "check", "train", "versions"]

CLAIM = ".claim"
SECONDS_BETWEEN_CLAIMS = 5
_SECONDS_TO_SAVE = 60


@dataclasses.dataclass(frozen=True)
class Driver:
    """What a study's process says of itself, with which every node must agree.

    Attributes:
        folder: its working directory, which relative paths start from.
        study_dir: the study's folder.
        token: the path of a file in study_dir.
        secret: the contents of that file.
        versions: see `versions`.
    """

    folder: str
    study_dir: str
    token: str
    secret: str
    versions: Mapping[str, str]


def versions() -> dict[str, str]:
    """What results depend on, besides the settings of a run: versions, and TensorFlow's kernels."""
    return {
        "mentormix_tf": version.__version__,
        "python": platform.python_version(),
        "tensorflow": _version("tensorflow", "tensorflow-cpu", "tensorflow-tpu"),
        "keras": _version("keras"),
        "numpy": _version("numpy"),
        "TF_ENABLE_ONEDNN_OPTS": {True: "1", False: "0", None: "none"}[backend.uses_onednn()],
    }


def _version(*names):
    """The version of the first of these packages that is installed."""
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return "none"


def check(driver: Driver, node: str) -> None:
    """Checks that this node sees the study's folder, and would compute the same.

    Args:
        driver: the study's process.
        node: this node's address, for the message.

    Raises:
        InputError: it does not.
    """
    try:
        is_shared = epath.Path(driver.token).read_text() == driver.secret
    except OSError:
        is_shared = False
    if not is_shared:
        raise InputError(
            f"study_dir={driver.study_dir} is not the same folder on the node {node} as here: name "
            "one on storage that all nodes have mounted at the same path."
        )
    if not os.path.isdir(driver.folder):
        raise InputError(
            f"The node {node} has no folder {driver.folder}, where this command was started: start "
            "it in a folder that all nodes have."
        )
    found = versions()
    for name, here in driver.versions.items():
        if found.get(name) != here:
            raise InputError(
                f"The node {node} has {name}={found.get(name)}, but this command {here}: use the "
                "same versions and settings on all nodes."
            )


class Claim:
    """A file that says which of several attempts at a run may write to its folder: the last one.

    A node that the cluster has given up may be alive, only out of reach, so an attempt must stop
    once another has begun. No lock does this: on shared storage, there may be none.

    Args:
        path: the run's folder.
    """

    def __init__(self, path: epath.PathLike):
        self._path, self._mine = epath.Path(path) / CLAIM, uuid.uuid4().hex

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A context in which the folder is this attempt's, until another takes it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        was_taken = self._path.exists()
        files.write(self._path, self._mine)
        if was_taken:
            time.sleep(2 * SECONDS_BETWEEN_CLAIMS)  # until the earlier attempt has seen it
        self._wait_for_lock()
        try:
            yield
        finally:
            if not self.is_lost():
                self._path.unlink(missing_ok=True)

    def _wait_for_lock(self):
        for _ in range(_SECONDS_TO_SAVE):  # a process of this machine may be saving a checkpoint
            try:
                with files.lock(self._path.parent, "busy"):
                    return
            except InputError:
                time.sleep(1)

    def is_lost(self) -> bool:
        """Whether another attempt has taken the folder since."""
        try:
            return self._path.read_text() != self._mine
        except FileNotFoundError:
            return True
        except OSError:  # the storage can't be reached, so nothing is written there either
            return False


def train(driver: Driver, config: RunConfig, path: str) -> str:
    """Trains a run on this node: the body of a Ray task.

    Args:
        driver: the study's process.
        config: the run.
        path: its folder.

    Returns:
        Why it failed; "" if it did not.

    Raises:
        InputError: this node can't train for the study.
        KeyboardInterrupt: the task was canceled; the run has saved a checkpoint.
    """
    import ray

    check(driver, ray.util.get_node_ip_address())
    os.chdir(driver.folder)
    # Ray cancels a task as ctrl-C would, which is ignored where `ray start` ran in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gpus, claim, seconds = ",".join(map(str, ray.get_gpu_ids())), Claim(path), 0
    with claim.held():
        process = run_process.start(config, path, gpus)
        try:
            while process.is_alive():
                process.join(1)  # not for longer: a cancellation does not interrupt it
                seconds += 1
                if seconds % SECONDS_BETWEEN_CLAIMS == 0 and claim.is_lost():
                    process.kill()
                    return "another attempt at it has begun"
        finally:
            process.terminate()
            process.join()
    return run_process.failure(process.exitcode, path)
