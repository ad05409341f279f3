"""Every setting is held to the range in its type, from Python, JSON or the command line."""

import importlib
import json
import math
import pkgutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Interval

import tpsnet
from tpsnet import cli
from tpsnet.backbone import LayerRates, TowerConfig
from tpsnet.cli.machines import Machines
from tpsnet.cli.prepare import Prepare, WriteShape
from tpsnet.cli.reproduce import Reproduce
from tpsnet.cli.tables import Filling
from tpsnet.cli.train import Train
from tpsnet.cli.use import Embed, Index, Search
from tpsnet.cli.weights import PrepareWeights
from tpsnet.data import AugmentConfig
from tpsnet.errors import InputError
from tpsnet.evaluation import RERANKINGS
from tpsnet.experiments import PROTOCOLS, Experiment, Source, Table
from tpsnet.galleries.faiss_file import FaissOptions
from tpsnet.galleries.milvus import MilvusOptions
from tpsnet.io import validated
from tpsnet.jobs import Cluster
from tpsnet.methods import METHODS, CLAIRConfig
from tpsnet.presets import DEFAULT, load_preset
from tpsnet.settings import Positive, Seed, Settings, Temperature, check
from tpsnet.training import FitConfig

HERE = Path("here")
EXAMPLES = [
    *(entry.config() for name, entry in METHODS.items() if name != "CLAIR"),
    CLAIRConfig(map="procrustes"),  # else it takes no rank
    *PROTOCOLS.values(),
    *RERANKINGS.values(),
    *(
        AugmentConfig(),
        FitConfig(),
        TowerConfig(),
        LayerRates(),
        Source(),
        Experiment(),
        Table(HERE, Source(), (("a", "b"),), (0,)),
    ),
    *(
        Filling(),
        Train(),
        Prepare((str(HERE),)),
        WriteShape("few", HERE),
        Search(HERE),
        Embed(HERE, HERE, HERE),
        Index(HERE, gallery="memory"),
        PrepareWeights("ViT-B-16", "openai", HERE),
        Reproduce(),
    ),
    *(Machines(), Cluster(), FaissOptions(), MilvusOptions()),
    *(load_preset(DEFAULT), *load_preset(DEFAULT).sweeps),
]
HUGE = 10**30
NUMBERS = (math.nan, math.inf, -math.inf, -1, -1e-9, 0, 0.0, 0.5, 1, 1.5, 2, HUGE, float(HUGE))
TEXTS = ("1", "nan", True, [1], {"a": 1})


def ranges(kind) -> list[tuple[type, Interval | None]]:
    """Each number within a type, and its range if it has one."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        interval = next((note for note in notes if isinstance(note, Interval)), None)
        return [(inner, interval)] if inner in (int, float) else ranges(inner)
    if kind in (int, float):
        return [(kind, None)]
    return [found for inner in get_args(kind) for found in ranges(inner)]


def numeric(example: Settings) -> dict[str, tuple[type, Interval | None]]:
    hints = get_type_hints(type(example), include_extras=True)
    found = {field.name: ranges(hints[field.name]) for field in fields(example)}
    return {name: several[0] for name, several in found.items() if several}


CASES = [(example, name) for example in EXAMPLES for name in numeric(example)]
every_number = pytest.mark.parametrize(
    ("example", "name"), CASES, ids=[f"{type(example).__name__}.{name}" for example, name in CASES]
)


def legal(kind: type, interval: Interval, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    above = value >= interval.ge if interval.ge is not None else value > interval.gt
    below = value <= interval.le if interval.le is not None else value < interval.lt
    return above and below and (kind is float or isinstance(value, int))


def test_every_class_of_settings_is_walked():
    for module in pkgutil.walk_packages(tpsnet.__path__, "tpsnet."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    walked = {kind for example in EXAMPLES for kind in type(example).__mro__}
    waiting, found = [Settings], []
    while waiting:
        found += (new := waiting.pop().__subclasses__())
        waiting += new
    missing = {kind.__name__ for kind in found if kind.__module__.startswith("tpsnet.")} - {
        kind.__name__ for kind in walked
    }
    assert len(found) > 20 and not missing


@every_number
def test_every_number_states_a_range_with_two_finite_ends(example, name):
    _, interval = numeric(example)[name]
    ends = [interval.ge, interval.gt, interval.le, interval.lt]
    assert sum(end is not None for end in ends) == 2
    assert all(math.isfinite(end) for end in ends if end is not None)


@every_number
def test_a_number_is_legal_or_refused_in_one_line(example, name):
    """From Python, and from JSON with what JSON alone can hold; no third outcome."""
    kind, interval = numeric(example)[name]
    now = getattr(example, name)
    several = isinstance(now, tuple) or "tuple" in str(get_type_hints(type(example))[name])
    for value in NUMBERS + TEXTS:
        if isinstance(value, kind) and not isinstance(value, bool):  # in tests a checker takes the others
            given = ((value,) * len(now or (0,))) if several else value
            refused = outcome(lambda given=given: replace(example, **{name: given}))
            assert refused.startswith(f"{name} = ") if refused else legal(kind, interval, value), value
            assert bool(refused) != legal(kind, interval, value), value
        given = [value] * len(now or (0,)) if several else value
        hint = get_type_hints(type(example), include_extras=True)[name]
        refused = outcome(lambda given=given, hint=hint: validated(hint, given, Path("c.json"), name))
        assert bool(refused) != legal(kind, interval, value), value


def outcome(make) -> str:
    """The line of the refusal; empty where there is none."""
    try:
        make()
    except InputError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


def test_messages_name_value_and_range():
    assert outcome(lambda: check("epochs", Positive | None, -1)) == (
        "epochs = -1: give a whole number from 1 to 1,000,000"
    )
    assert outcome(lambda: check("t", Temperature, math.nan)) == "t = nan: give a number from 0.0001 to 1,000"
    assert "from 0 to 9,223,372,036,854,775,807" in outcome(lambda: check("seed", Seed, 2**63))
    assert outcome(lambda: check("ks", tuple[Positive, ...], (5, 0))).startswith("ks = 0: ")
    assert "below 1" in outcome(lambda: replace(METHODS["TPSNet"].config(), smoothing=1.0))
    assert "above 0" in outcome(lambda: FitConfig(clip_norm=0.0))


def test_words_are_held_to_their_types_too():
    assert "'local', 'global' or 'none'" in outcome(
        lambda: validated(METHODS["UEM"].config, {"merge": "half"}, Path("c.json"), "config")
    )


def train(*options: str) -> list[str]:
    return ["train", "flat", "line", "{run}", *options]


REFUSED = [
    (train("--epochs", "-1"), "epochs = -1: give a whole number from 0"),
    (train("--temperature", "0"), "temperature = 0.0: give a number from 0.0001"),
    (train("--prompt-temperature", "nan"), "prompt_temperature = nan"),
    (train("--seed", "99999999999999999999"), "seed = 99999999999999999999: give a whole number"),
    (train("--warmup", "5"), "warmup = 5.0: give a number from 0 to 1"),
    (train("--clip-norm", "-1"), "clip_norm = -1.0"),
    (train("--weight-decay", "inf"), "weight_decay = inf"),
    (train("--smoothing", "2"), "smoothing = 2.0: give a number from 0 to below 1"),
    (train("--ks", "1", "0"), "ks = 0"),
    (train("--crop-scale", "0.9", "0.3"), "crop_scale = 0.9 0.3"),
    (train("--clusters", "99"), "domain 'flat' has 15 images for 99 clusters"),
    (train("--context", "1000"), "context = 1000: the text tower has room for 10 beside 'An image of a'"),
    (train("--method", "TPSNetPrinted", "--heads", "5"), "heads = 5: they must divide the 24 numbers"),
    (train("--method", "TPSNetPrinted", "--encoder-lr", "nan"), "encoder_lr = nan"),
    (train("--method", "TPSNetPrinted", "--micro-batch", "0"), "micro_batch = 0: give a whole number from 1"),
    (train("--method", "TPSNetPrinted", "--layer-decay", "2"), "layer_decay = 2.0"),
    (
        train("--method", "TPSNetPrinted", "--locked", "4"),
        "locked = 4: this image tower has 4 layers; lock fewer",
    ),
    (train("--micro-batch", "8"), "are for methods that train an image tower, and this one trains none"),
    (train("--method", "UEM", "--clusters", "0"), "clusters = 0: give a whole number from 1"),
    (train("--method", "UEM", "--clusters", "16"), "15 images for 16 clusters"),
    (train("--method", "UEM", "--memory-momentum", "2"), "memory_momentum = 2.0"),
    (train("--method", "CLAIR", "--context", "13"), "context = 13: the text tower has room for "),
    (train("--device", "meta"), "no device 'meta' here"),
    (["prepare", "{root}", "--size", "20000"], "size = 20000: give a whole number from 16 to 1,024"),
    (["table", "--folder", "{run}", "--workers", "0"], "workers = 0"),
    (["shape", "few", "{run}", "--seed", "-1"], "seed = -1"),
]


@pytest.mark.parametrize(
    ("line", "message"), REFUSED, ids=lambda part: " ".join(part) if isinstance(part, list) else ""
)
def test_the_command_line_ends_in_one_line_before_any_work(line, message, root, small_clip, tmp_path, capsys):
    run = tmp_path / "run"
    line = [part.format(run=run, root=root) for part in line]
    if line[0] == "train":
        line += ["--root", str(root), "--model", small_clip]
    assert cli.main(line) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("tpsnet: ") and error.count("\n") == 1, error
    assert not run.exists()


def test_a_file_of_settings_is_held_to_the_same_ranges(tmp_path, capsys):
    file = tmp_path / "config.json"
    for values in (
        {"seed": -1},
        {"fit": {"warmup": math.nan}},
        {"config": {"epochs": 2.5}},
        {"protocol": {"ks": [0]}},
    ):
        file.write_text(json.dumps(values))
        with pytest.raises(InputError, match=next(iter(values))) as caught:
            Experiment.load(file)
        assert str(caught.value).startswith(str(file)) and "\n" not in str(caught.value)
    file.write_text(json.dumps({"seed": 3}), encoding="utf-8-sig")
    assert Experiment.load(file).seed == 3


def test_one_run_stays_within_memory_whatever_the_batch(root, small_clip, tmp_path):
    """A batch is no larger than the larger domain, so that the numbers are those of one that fits it."""
    short = {"epochs": 1, "prompt_epochs": 1}
    rows = []
    for size in (15, 1_000_000):
        config = replace(METHODS["TPSNet"].config(), batch_size=size, **short)
        some = Experiment(("flat", "line"), config, source=Source(root, small_clip))
        rows.append(some.run(tmp_path / str(size))[1][-1]["directions"])
    assert rows[0] == rows[1]
