"""Runs commands one after another, each in its own process, but imports TensorFlow only once.

As a script: reads a JSON list of [command, argument, ...], prints one of [status, stdout, stderr].
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def run(*commands, cwd):
    """Runs commands as `python -m mentormix_tf.COMMAND` would.

    Args:
        commands: lists of a command's name and its arguments.
        cwd: the folder to run them in.

    Returns:
        A list `[status, stdout, stderr]` for each command.
    """
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([[str(word) for word in command] for command in commands]),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _run(name, *arguments):
    outputs = [os.memfd_create("stdout"), os.memfd_create("stderr")]
    child = os.fork()
    if child == 0:
        for number, output in enumerate(outputs, start=1):
            os.dup2(output, number)
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
    _, status = os.waitpid(child, 0)
    texts = [pathlib.Path(f"/proc/self/fd/{output}").read_text() for output in outputs]
    return [os.waitstatus_to_exitcode(status), *texts]


if __name__ == "__main__":
    import runpy
    import traceback

    import mentormix_tf.serving.saved_model
    import mentormix_tf.serving.scoring
    import mentormix_tf.training.run  # noqa: F401

    print(json.dumps([_run(*command) for command in json.load(sys.stdin)]))
