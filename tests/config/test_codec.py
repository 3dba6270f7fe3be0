"""Settings survive every format that they are written in: read(write(settings)) == settings."""

import dataclasses
import pathlib
import typing
from typing import Literal

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mentormix_tf import methods, train
from mentormix_tf.aot_compile import StepConfig, TargetConfig
from mentormix_tf.audit import AuditConfig
from mentormix_tf.config import (
    DataConfig,
    OutputConfig,
    RunConfig,
    StrategyConfig,
    TrainingConfig,
    codec,
    flagfile,
)
from mentormix_tf.config import run as run_config
from mentormix_tf.config.choices import GammaP
from mentormix_tf.config.codec import Field
from mentormix_tf.config.flags import FlagSet
from mentormix_tf.errors import InputError
from mentormix_tf.evaluate import EvaluateConfig
from mentormix_tf.export import ExportConfig
from mentormix_tf.predict import PredictConfig
from mentormix_tf.prepare import PrepareConfig
from mentormix_tf.study import StudyConfig
from mentormix_tf.train import InsteadConfig, MethodConfig
from mentormix_tf.train_mentor import TrainMentorConfig

CONFIGS = [
    *(DataConfig, TrainingConfig, StrategyConfig, OutputConfig, MethodConfig, InsteadConfig),
    *(PrepareConfig, EvaluateConfig, PredictConfig, ExportConfig, AuditConfig, StudyConfig),
    *(TrainMentorConfig, StepConfig, TargetConfig),
]
# Characters that a reader may mistake for a comment, a quote, a line's end or a list's comma.
NASTY = st.text(st.sampled_from("ab-=#/,'\"\\ \t:{}[]%&*!|>~é\u2028\x85\x0b"), max_size=8)


def values(field: Field, is_in_list=False):
    """A strategy for a field's values: often its default, so that most configs are valid."""
    kind = codec.without_none(field.kind)
    if typing.get_origin(kind) is tuple:
        part = dataclasses.replace(field, kind=typing.get_args(kind)[0], default=None)
        several = st.lists(values(part, is_in_list=True), max_size=3).map(tuple)
        return st.one_of(st.just(field.default), several)
    if typing.get_origin(kind) is typing.Union:
        parts = [dataclasses.replace(field, kind=each) for each in typing.get_args(kind)]
        return st.one_of(*map(values, parts))
    if typing.get_origin(kind) is Literal:
        return st.sampled_from(typing.get_args(kind))
    if kind is str:
        # A flagfile's line can't end in whitespace; a part of a list can't start with it either.
        texts = NASTY.map(str.strip if is_in_list else str.rstrip)
        return texts if is_in_list else st.one_of(st.just(field.default), texts)
    drawn = {
        bool: st.booleans(),
        int: st.integers(0, 2**40),
        float: st.one_of(st.floats(0, 1), st.floats(allow_nan=False, allow_infinity=False)),
    }[kind]
    missing = [st.none()] if codec.is_optional(field.kind) else []
    return st.one_of(*missing, *([] if is_in_list else [st.just(field.default)]), drawn)


@st.composite
def configs(draw, config_class):
    """A valid config that differs from the defaults in up to three fields."""
    fields = codec.fields(config_class)
    changed = draw(st.lists(st.sampled_from(fields), max_size=3, unique_by=lambda f: f.name))
    given = {field.name: draw(values(field)) for field in changed}
    if config_class in (EvaluateConfig, PredictConfig, ExportConfig, AuditConfig):
        given["model_dir"] = draw(NASTY.map(str.rstrip).filter(bool))
    try:
        return config_class(**given)
    except InputError:
        assume(False)


@st.composite
def runs(draw):
    name = draw(st.sampled_from(sorted(methods.METHODS)))
    fields = methods.hyperparameters_of(name)
    hyperparameters = {f.name: draw(values(f)) for f in fields}
    data, training = draw(configs(DataConfig)), draw(configs(TrainingConfig))
    return RunConfig(data, training, name, hyperparameters)


def words(config):
    """A config as a command line."""
    found = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return [f"--{k}={codec.serialize(v)}" for k, v in found.items() if v is not None]


def read_from_words(config_class, given):
    flags = FlagSet(codec.fields(config_class))
    assert flags.parse(given) == []
    return flags.config(config_class)


@pytest.mark.parametrize("config_class", CONFIGS, ids=lambda c: c.__name__)
@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(data=st.data())
def test_every_config_survives_every_format(config_class, data, tmp_path_factory):
    config = data.draw(configs(config_class))
    assert read_from_words(config_class, words(config)) == config

    named = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    path = tmp_path_factory.mktemp("flags") / "some.flags"
    path.write_text("# a comment, --batch_size=7\n\n" + flagfile.write(named), newline="")
    assert read_from_words(config_class, [f"--flagfile={path}"]) == config

    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in named.items()}
    loaded = yaml.safe_load(yaml.safe_dump(plain))
    kinds = {field.name: field.kind for field in codec.fields(config_class)}
    again = {k: codec.from_yaml(kinds[k], value, k) for k, value in loaded.items()}
    assert config_class(**again) == config


@settings(max_examples=50, deadline=None, database=None, derandomize=True)
@given(run=runs())
def test_every_run_survives_its_flags_txt(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "flags.txt"
    path.write_text("# by hand\n" + run.flagfile() + "// the end\n", newline="")
    read = run_config.read(path, methods.all_hyperparameters())
    unset = {k: v for k, v in run.hyperparameters.items() if v is not None}
    assert read == dataclasses.replace(run, hyperparameters=unset)


@pytest.mark.parametrize(
    ("line", "pretrained"),
    [
        ("--pretrained", True),
        ("--nopretrained", False),
        ("--pretrained=true", True),
        ("--pretrained=T", True),
        ("-pretrained=1", True),
        ("--pretrained=false", False),
        ("--pretrained=0", False),
    ],
)
def test_flags_txt_is_read_as_the_command_line_reads_it(line, pretrained, tmp_path):
    text = f"# a recipe, lr=0.3\n--method=vanilla\n{line}\n--learning_rate=0.2  \n"
    (tmp_path / "flags.txt").write_text("\ufeff" + text.replace("\n", "\r\n"), newline="")
    read = run_config.read(tmp_path / "flags.txt", methods.all_hyperparameters())
    assert read == RunConfig(
        training=TrainingConfig(pretrained=pretrained, learning_rate=0.2), method="vanilla"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--method=mentormax\n", "method=mentormax is unknown"),
        ("--batch_size=12.5\n", "batch_size=12.5 must be an integer"),
        ("--pretrained=maybe\n", "pretrained=maybe must be true or false"),
        ("--schedule=cosines\n", "schedule=cosines must be one of cosine, staircase"),
        ("--epochs=3\n", "--epochs is not a flag"),
        ("pretrained\n", "pretrained is not a flag"),
        ("--nopretrained=true\n", "does not take an argument"),
        ("--seed\n", "seed"),
        ("--flagfile=gone.flags\n", "gone.flags can't be read"),
        ("--flagfile=flags.txt\n", "includes itself"),
    ],
)
def test_bad_flags_are_rejected_in_a_sentence(text, message, tmp_path):
    (tmp_path / "flags.txt").write_text(text)
    with pytest.raises(InputError) as error:
        run_config.read(tmp_path / "flags.txt", methods.all_hyperparameters())
    assert message in str(error.value) and "\n" not in str(error.value)
    assert "flags.txt can't be read as a run's flags" in str(error.value)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a "])
def test_values_that_a_line_can_not_hold_are_not_written(value):
    with pytest.raises(InputError, match=r"noise_file=.* can't be written to a flagfile"):
        RunConfig(DataConfig(noise_file=value)).flagfile()


def test_former_names_are_read(tmp_path, capsys):
    (tmp_path / "flags.txt").write_text("--method=vanilla\n--average_decay=0.99\n")
    read = run_config.read(tmp_path / "flags.txt", methods.all_hyperparameters())
    assert read.training.ema_decay == 0.99
    assert "--average_decay" not in read.flagfile()
    flagfile_flag = f"--flagfile={tmp_path / 'flags.txt'}"
    assert train.main(["--print_config", flagfile_flag]) == 0
    printed = capsys.readouterr()
    assert "--ema_decay=0.99\n" in printed.out and "average_decay" not in printed.out
    assert printed.err == "note: --average_decay is now called --ema_decay\n"


def test_bytes_that_are_not_text(tmp_path):
    (tmp_path / "some.flags").write_bytes(b"--dataset=\xff\n")
    with pytest.raises(InputError, match=r"some.flags can't be read: it is not text"):
        flagfile.read(pathlib.Path(tmp_path / "some.flags"))


@pytest.mark.parametrize("name", methods.METHODS)
def test_hyperparameters_are_read_from_source_as_python_sees_them(name):
    from mentormix_tf.methods.hyperparameters import names

    method, fields = methods.get(name), methods.hyperparameters_of(name)
    assert [field.name for field in fields] == names(method)
    hints = typing.get_type_hints(method.__init__)
    for field in fields:
        assert field.kind == hints[field.name]
        assert field.default == method.__init__.__kwdefaults__[field.name]
        assert field.help


@pytest.mark.parametrize("size", [-1, 2**14 + 1, 1_000_000, 2**32])
def test_sizes_of_images(size):
    with pytest.raises(InputError, match=rf"image_size={size} must lie in \[0, 16384\]"):
        TrainingConfig(image_size=size)


@pytest.mark.parametrize(("text", "value"), [("auto", "auto"), (" AUTO", "auto"), ("0.5", 0.5)])
def test_a_number_or_a_word(text, value):
    assert codec.parse(GammaP, text, "gamma_p") == value
    assert codec.from_yaml(GammaP, value, "gamma_p") == value


@pytest.mark.parametrize("text", ["", "automatic", "0,5"])
def test_neither_a_number_nor_a_word(text):
    with pytest.raises(InputError, match=f"gamma_p={text} must be a number or auto"):
        codec.parse(GammaP, text, "gamma_p")
