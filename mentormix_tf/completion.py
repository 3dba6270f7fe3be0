"""mentormix completion bash|zsh: prints a script by which a shell completes commands and flags."""

import sys
from collections.abc import Sequence

from mentormix_tf import cli, console
from mentormix_tf.errors import InputError

__all__ = ["SHELLS", "main"]

_BASH = r"""
_mentormix() {
    local word="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}"
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "COMMANDS" -- "$word"))
    elif [[ "$word" == -* && "$word" != *=* ]]; then
        local help="$(mentormix "$command" --helpfull 2>/dev/null)"
        local flags="$(sed -n 's/^  \(--[a-z_]*\).*/\1=/p' <<< "$help")"
        COMPREPLY=($(compgen -W "$flags" -- "$word"))
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _mentormix mentormix
"""
SHELLS = {"bash": _BASH, "zsh": "\nautoload -U +X bashcompinit && bashcompinit" + _BASH}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the script; returns the exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    return console.exit_status(lambda: _print(words))


def _print(words):
    if len(words) != 1 or words[0] not in SHELLS:
        raise InputError('Name a shell, bash or zsh, as in: eval "$(mentormix completion bash)".')
    print(SHELLS[words[0]].strip().replace("COMMANDS", " ".join(cli.COMMANDS)))


if __name__ == "__main__":
    sys.exit(main())
