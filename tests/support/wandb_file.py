"""Reads the .wandb files that Weights & Biases writes offline."""

import json
import struct

BLOCK = 32768


def records(path):
    """Yields the records of a .wandb file: LevelDB's log format after a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    data, at, record = path.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while at + 7 <= len(data):
        left = BLOCK - at % BLOCK
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        if left < 7 or kind == 0:  # padding at the end of a block
            at += left
            continue
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""


def history(path):
    """The rows of a .wandb file, as dicts from key to value, `_step` among them."""
    return [
        {
            ".".join([item.key, *item.nested_key]).strip("."): json.loads(item.value_json)
            for item in record.history.item
        }
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
    ]


def config(path):
    """The config of the run in a .wandb file."""
    return {
        update.key: json.loads(update.value_json)
        for record in records(path)
        if record.WhichOneof("record_type") in ("run", "config")
        for update in (*record.run.config.update, *record.config.update)
    }


def summary(path):
    """The summary of the run in a .wandb file."""
    return {
        ".".join([update.key, *update.nested_key]).strip("."): json.loads(update.value_json)
        for record in records(path)
        if record.WhichOneof("record_type") == "summary"
        for update in record.summary.update
    }


def exit_code(path):
    """The exit code that the run in a .wandb file ended with; None if it did not end."""
    codes = [
        record.exit.exit_code
        for record in records(path)
        if record.WhichOneof("record_type") == "exit"
    ]
    return codes[-1] if codes else None
