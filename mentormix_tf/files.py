"""Local and remote files: atomic writes, reads that fail with an `InputError`, and locks."""

import contextlib
import csv
import errno
import fcntl
import io
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from mentormix_tf.errors import InputError

__all__ = [
    "REACHED_WITHIN",
    "contents",
    "csv_text",
    "exists",
    "expanded",
    "is_hidden",
    "is_number",
    "is_remote",
    "lock",
    "new_folder",
    "partial",
    "read_csv",
    "read_json",
    "reason",
    "size",
    "unguarded",
    "write",
    "write_csv",
]

REACHED_WITHIN = 60  # seconds to wait for remote storage


def write(path: epath.PathLike, contents: str | bytes) -> None:
    """Replaces a file atomically: the contents go to a file beside it, which is then renamed.

    Args:
        path: the file, local or remote; its folder must exist.
        contents: bytes, or text, which is stored as UTF-8 with unchanged line endings.

    Raises:
        InputError: the file can't be written.
    """
    path = epath.Path(path)
    beside = partial(path)
    encoded = contents.encode() if isinstance(contents, str) else bytes(contents)
    try:
        beside.write_bytes(encoded)
        beside.replace(path)
    except Exception as error:  # remote file systems raise errors other than OSError
        raise InputError(f"{path} can't be written: {reason(error)}.") from error


def partial(path: epath.PathLike) -> epath.Path:
    """The file that `write` writes to, which it leaves if it is killed."""
    path = epath.Path(path)
    return path.with_name(f"{path.name}.partial")


@contextlib.contextmanager
def new_folder(path: epath.PathLike) -> Iterator[epath.Path]:
    """A context that creates a folder atomically, with all its files or not at all.

    Args:
        path: the folder, which must not exist.

    Yields:
        The temporary folder to write to, which the caller must create. It is renamed to `path` at
        the end, or deleted if the context raises.
    """
    path = epath.Path(path)
    temporary = path.with_name(f"partial-{path.name}-{os.getpid()}")
    try:
        yield temporary
        temporary.rename(path)
    finally:
        if temporary.exists():
            temporary.rmtree()


def csv_text(rows: Iterable[Sequence[Any]], line_end: str = "\n") -> str:
    """Returns the text of a CSV file with these rows; None becomes an empty cell.

    Names of files and classes may begin as a formula does, which a spreadsheet would run: such a
    cell gets a quotation mark (') before it, which `read_csv` removes.
    """
    table = io.StringIO()
    csv.writer(table, lineterminator=line_end).writerows([_shown(c) for c in row] for row in rows)
    return table.getvalue()


def _shown(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and re.match(r"'*[=+\-@\t\r＝＋－＠]", cell)
    return f"'{cell}" if is_formula and not is_number(cell) else cell


def unguarded(cell: str) -> str:
    """A cell without the quotation mark that `csv_text` puts before what looks like a formula."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r＝＋－＠]", cell) else cell


def is_number(text: str) -> bool:
    """Whether a text is a number, or inf or nan."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_csv(
    path: epath.PathLike, rows: Sequence[Mapping[str, Any]], line_end: str = "\n"
) -> None:
    """Replaces a CSV file with a header and a line for each row, atomically.

    Args:
        path: the file, local or remote.
        rows: mappings from column to value. The first must have all columns, in order; without
            rows, the header is empty.
        line_end: line ending.

    Raises:
        InputError: the file can't be written.
        ValueError: a row has a column that the first row does not have.
    """
    columns = list(rows[0]) if rows else []
    unknown = {column for row in rows for column in row} - set(columns)
    if unknown:
        raise ValueError(f"columns {sorted(unknown)} are not in the first row")
    cells = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    write(path, csv_text(cells, line_end))


def contents(path: epath.PathLike) -> bytes:
    """Reads a file, but not a pipe or a device, which may have no end.

    Raises:
        OSError: it can't be read, or is none of the regular files.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "It is not a regular file", str(path))
    return epath.Path(path).read_bytes()


def read_csv(path: epath.PathLike) -> list[dict[str, str]]:
    """Reads the rows of a CSV file with a header, as dicts from column to text.

    Raises:
        InputError: the file can't be read, is not UTF-8 text, or has rows of several lengths.
    """
    try:
        text = contents(path).decode()
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read: {reason(error)}.") from error
    header, *rows = [[unguarded(cell) for cell in row] for row in rows if row] or [[]]
    if any(len(row) != len(header) for row in rows):
        raise InputError(f"{path} has rows with more or fewer cells than its header: restore it.")
    return [dict(zip(header, row, strict=True)) for row in rows]


def read_json(path: epath.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
        InputError: the file can't be read, or is not valid JSON.
    """
    try:
        return json.loads(contents(path))
    except OSError as error:
        raise InputError(f"{path} can't be read: {reason(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): restore it.") from error


def size(path: epath.PathLike) -> int:
    """Returns the size of a file in bytes.

    Raises:
        OSError: there is no such file, or its folder can't be read.
    """
    path = epath.Path(path)
    # `epath.Path.stat` fails for a local file whose owner has no name, as in many containers.
    return path.stat().length if is_remote(path) else os.path.getsize(path)


def expanded(path: epath.PathLike, setting: str) -> epath.Path:
    """A path as the user gave it, with `~` and `~user` replaced by their home folders.

    Args:
        path: the path, local or remote.
        setting: the flag or the argument that has it, for the error message.

    Raises:
        InputError: there is no such home folder, or no such kind of remote storage.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise InputError(f"{setting}={text!r} must not have the character NUL.")
    try:
        found = epath.Path(text).expanduser()
    except KeyError as error:  # how epath refuses a scheme
        raise InputError(
            f"{setting}={text} is on storage of an unknown kind: name a local path, or one that "
            "begins with gs://."
        ) from error
    # A process in a container may have neither HOME nor an entry in /etc/passwd.
    if str(found).startswith("~"):
        raise InputError(
            f"{setting}={text} needs a home folder, and {found.parts[0]} has none: give the whole "
            "path."
        )
    return found


def exists(path: epath.Path, setting: str, seconds: float = REACHED_WITHIN) -> bool:
    """Whether a file or folder exists, within a limited time also on remote storage.

    Args:
        path: the file or folder.
        setting: the flag or the argument that names it, for the error message.
        seconds: how long to wait for remote storage.

    Raises:
        InputError: the remote storage can't be reached.
    """
    if not is_remote(path):
        return path.exists()
    answers: list[bool | Exception] = []

    def ask():
        try:
            answers.append(path.exists())
        except Exception as error:  # whatever a library for remote storage raises
            answers.append(error)

    # A daemon, since Python waits for other threads before it ends.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    answer = answers[0] if answers else TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(answer, Exception):
        raise InputError(f"{setting}: {path} can't be reached: {reason(answer)}.") from answer
    return answer


def is_remote(path: epath.PathLike) -> bool:
    """Whether a path is on remote storage, as gs://bucket/run is."""
    return "://" in str(path)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that programs keep for themselves, by its name.

    These begin with a dot, or are the folder `__MACOSX` that archives made on macOS have.
    """
    return name.startswith(".") or name == "__MACOSX"


@contextlib.contextmanager
def lock(folder: epath.PathLike, busy: str | None = None) -> Iterator[bool]:
    """A context that only one process at a time can enter for each folder.

    It has no effect where locks are not supported: on remote storage and on some cluster file
    systems.

    Yields:
        Whether no other process is in the context: False where locks are not supported.

    Args:
        folder: the folder, which must exist.
        busy: error message if another process is in the context; None to wait until it leaves.

    Raises:
        InputError: another process is in the context and `busy` is not None.
    """
    if is_remote(folder):
        yield False
        return
    operation = fcntl.LOCK_EX if busy is None else fcntl.LOCK_EX | fcntl.LOCK_NB
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, operation)
            is_alone = True
        except BlockingIOError as error:
            raise InputError(busy) from error
        except OSError:
            is_alone = False
        yield is_alone
    finally:
        os.close(descriptor)


def reason(error: Exception) -> str:
    """Why a file can't be used, in a few words: the first line of an error without its number."""
    text = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    return text.rstrip(".") or type(error).__name__
