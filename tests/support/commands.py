"""Runs commands one after another, each in its own process, but imports TensorFlow only once.

As a script: reads a JSON object of limits and commands, prints a list of [status, stdout, stderr].
"""

import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def run(*commands, cwd, seconds=None, gigabytes=None):
    """Runs commands as `python -m mentormix_tf.COMMAND` would.

    Args:
        commands: lists of a command's name and its arguments.
        cwd: the folder to run them in.
        seconds: how long each may take until it is killed; None for any time.
        gigabytes: how much memory each may have beyond its imports; None for any.

    Returns:
        A list `[status, stdout, stderr]` for each command; the status of one that a signal ended
        is the signal's negative number.
    """
    limits = {"seconds": seconds, "gigabytes": gigabytes}
    words = [[str(word) for word in command] for command in commands]
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps({"limits": limits, "commands": words}),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _run(name, *arguments, seconds, gigabytes):
    outputs = [os.memfd_create("stdout"), os.memfd_create("stderr")]
    child = os.fork()
    if child == 0:
        for number, output in enumerate(outputs, start=1):
            os.dup2(output, number)
        os.setsid()  # so that its own children can be killed with it
        if gigabytes is not None:
            data = psutil.Process().memory_full_info().data + round(gigabytes * 2**30)
            resource.setrlimit(resource.RLIMIT_DATA, (data, data))
        sys.argv[1:] = arguments
        try:
            runpy.run_module(f"mentormix_tf.{name}", run_name="__main__", alter_sys=True)
        except SystemExit as ended:  # as Python would, but without its slow shutdown
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
            sys.stdout.flush()
            os._exit(1 if isinstance(ended.code, str) else ended.code or 0)
        except BaseException:
            traceback.print_exc()
        os._exit(70)
    process = os.pidfd_open(child)
    ended, _, _ = select.select([process], [], [], seconds)
    if not ended:
        os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # killed before it led a group
            os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    texts = [
        pathlib.Path(f"/proc/self/fd/{output}").read_text(errors="replace") for output in outputs
    ]
    for descriptor in (process, *outputs):
        os.close(descriptor)
    return [os.waitstatus_to_exitcode(status), *texts]


if __name__ == "__main__":
    import resource
    import runpy
    import traceback

    import psutil

    import mentormix_tf.serving.saved_model
    import mentormix_tf.serving.scoring
    import mentormix_tf.training.run  # noqa: F401

    asked = json.load(sys.stdin)
    print(json.dumps([_run(*words, **asked["limits"]) for words in asked["commands"]]))
