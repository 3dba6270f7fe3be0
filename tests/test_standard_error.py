"""What a process prints to stderr can be kept in a file."""

import io
import os
import subprocess
import sys

from mentormix_tf import standard_error

CLOSED = """
import io, os
from mentormix_tf import standard_error
os.close(2)
with standard_error.kept_in(io.BytesIO()):
    print("reached")
"""


def test_what_python_the_system_and_children_print_is_kept(capfd):
    child = [sys.executable, "-c", "import sys; sys.stderr.write('child ')"]
    file = io.BytesIO()
    with standard_error.kept_in(file):
        print("python", end=" ", file=os.fdopen(os.dup(2), "w"), flush=True)
        os.write(2, b"system ")
        subprocess.run(child, check=True)
    os.write(2, b"after")
    assert file.getvalue() == b"python system child "
    assert capfd.readouterr().err == "after"


def test_a_closed_stderr_is_no_mistake():
    done = subprocess.run([sys.executable, "-c", CLOSED], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "reached\n")
