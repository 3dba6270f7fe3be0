"""How commands end, and where what the package logs goes."""

import io
import logging
import sys

import pytest

from mentormix_tf import console
from mentormix_tf.errors import BackendError, InputError, Preempted


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InputError("alpha=x must be a number."), 1, "error: alpha=x must be a number.\n"),
        (BackendError("no TensorFlow"), 1, "error: no TensorFlow\n"),
        (Preempted("after step 20"), 143, "Stopped after step 20, as requested: run the same"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_user_can_mend_ends_in_a_sentence(error, status, text, capsys):
    assert console.exit_status(raising(error)) == status
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(text)


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        console.exit_status(raising(ZeroDivisionError()))


def test_an_action_may_say_its_status():
    assert console.exit_status(lambda: None) == 0
    assert console.exit_status(lambda: 1) == 1


def test_the_log_is_printed_once_while_an_action_runs(capsys, caplog):
    package = logging.getLogger("mentormix_tf")
    before = package.handlers[:], package.level, package.propagate

    def action():
        logging.getLogger("mentormix_tf.training").info("step %d", 3)
        logging.getLogger("mentormix_tf.data").warning("a.png is left out")

    assert console.exit_status(lambda: console.exit_status(action)) == 0
    printed = capsys.readouterr()
    assert printed.out == "step 3\n" and printed.err == "warning: a.png is left out\n"
    assert caplog.messages == []  # the root logger's handlers would print it again
    assert (package.handlers, package.level, package.propagate) == before
    action()
    assert "a.png is left out" in caplog.messages


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("caf\u00e9 \U0001f600", "caf\u00e9 \U0001f600"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202egnp.b", "a\\u202egnp.b"),
        ("a\rb", "a\\rb"),
    ],
)
def test_terminals_obey_no_name(text, shown, capsys):
    def action():
        logging.getLogger("mentormix_tf").warning("first\n%s", text)
        raise InputError(f"{text}.")

    assert console.exit_status(action) == 1
    assert capsys.readouterr().err == f"warning: first\n{shown}\nerror: {shown}.\n"


def test_the_middle_of_a_very_long_error_is_left_out(capsys):
    console.exit_status(raising(InputError("a" * 10_000 + " must be short.")))
    printed = capsys.readouterr().err
    assert len(printed) < 2000 and "[...]" in printed and printed.endswith("must be short.\n")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shows"), [(Terminal(), True), (io.StringIO(), False)])
def test_only_a_terminal_shows_what_a_command_waits_for(stream, shows, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    with console.waiting("Loading"):
        assert stream.getvalue() == ("Loading ..." if shows else "")
    before, *blank = stream.getvalue().split("\r")
    assert (before, blank) == (
        ("Loading ...", [" " * len("Loading ..."), ""]) if shows else ("", [])
    )


def test_next_steps_are_lines_to_copy():
    text = console.next_steps({"mentormix audit": "wrong labels", "tensorboard": "curves"})
    assert text == "Next:\n  mentormix audit  wrong labels\n  tensorboard      curves"
