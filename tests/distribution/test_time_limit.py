"""A limit on the time of a call that can't be interrupted, in processes that it ends."""

import subprocess
import sys
import textwrap
import time

CODE = """
    import ctypes, time
    from mentormix_tf.distribution.time_limit import time_limit

    with time_limit(LIMIT, r"It took too long: see $HOME, %s and 'this' \\n."):
        BODY
    time.sleep(1.5)
    print("done")
"""


def run(limit, body):
    code = textwrap.dedent(CODE).replace("LIMIT", str(limit)).replace("BODY", body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_a_call_that_keeps_python_from_running():
    started = time.monotonic()
    done = run(1, "ctypes.PyDLL(None).sleep(50)")  # a PyDLL keeps the interpreter's lock
    assert time.monotonic() - started < 30
    assert done.returncode == 1
    assert done.stderr == "error: It took too long: see $HOME, %s and 'this' \\n.\n"


def test_a_call_in_time():
    done = run(1, "pass")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_an_error_passes():
    done = run(30, "raise ValueError('mine')")
    assert done.returncode == 1 and "ValueError: mine" in done.stderr
    assert "too long" not in done.stderr
