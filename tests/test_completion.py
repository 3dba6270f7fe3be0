"""Shell completion, in a real shell."""

import shutil
import subprocess
import sys

import pytest

from mentormix_tf import cli, completion, train

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def completed(capsys, *words):
    """What bash offers for the last of some words."""
    assert completion.main(["bash"]) == 0
    lines = [
        f'mentormix() {{ {sys.executable} -m mentormix_tf "$@"; }}',
        capsys.readouterr().out,
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _mentormix",
        'echo "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@bash
def test_commands_are_completed(capsys):
    assert completed(capsys, "mentormix", '""') == list(cli.COMMANDS)
    assert completed(capsys, "mentormix", "tr") == ["train", "train_mentor"]


@bash
def test_flags_of_a_command_are_completed(capsys):
    assert completed(capsys, "mentormix", "train", "--gamma") == ["--gamma_p="]
    flags = completed(capsys, "mentormix", "train", "--")
    assert {f"--{name}=" for name in train.FIRST} < set(flags)
    assert completed(capsys, "mentormix", "predict", "photo") == []


def test_zsh_and_mistakes(capsys):
    assert completion.main(["zsh"]) == 0
    assert capsys.readouterr().out.startswith("autoload -U +X bashcompinit")
    for words in ([], ["fish"], ["bash", "zsh"]):
        assert completion.main(words) == 1
        assert capsys.readouterr().err.startswith("error: Name a shell, bash or zsh")
