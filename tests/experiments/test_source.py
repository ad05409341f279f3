"""A data set by its name: what runs and tables read, under which names, and which classes are unseen."""

import json

import pytest
from pictures import write_tree

from tpsnet import cli
from tpsnet.data import DATASETS
from tpsnet.errors import InputError
from tpsnet.experiments import Closed, Source, ZeroShot, all_pairs, chain, embed_folder, search
from tpsnet.experiments.experiment import Experiment


@pytest.fixture
def home(tmp_path):
    """Office-Home as its archive unpacks, with three classes and a folder that is none."""
    classes = ("Alarm_Clock", "Bed", "Bike", "drafts")
    domains = ("Art", "Clipart", "Real World")
    write_tree(tmp_path / "home" / "OfficeHomeDataset_10072016", dict.fromkeys(domains, classes), each=3)
    return tmp_path / "home"


def test_a_run_reads_a_data_set_by_its_layout_under_its_names(home, small_clip, tmp_path, capsys):
    line = [
        "train",
        "real",
        "ART",
        str(tmp_path / "run"),
        "--method",
        "Frozen",
        "--ks",
        "1",
        "--model",
        small_clip,
    ]
    assert cli.main([*line, "--dataset", "office-home", "--root", str(home)]) == 0
    assert "Real World → Art" in capsys.readouterr().out
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["pair"] == ["Real World", "Art"] and config["source"]["dataset"] == "office-home"
    assert Experiment.load(tmp_path / "run" / "config.json").source.known is DATASETS["office-home"]
    # Queries and new images lie in folders of the same names.
    write_tree(tmp_path / "new", {"art": ("Bed",), "Real_World": ("Bed",)}, each=2)
    query = next((tmp_path / "new" / "art" / "Bed").iterdir())
    assert all("Real World" in hit.path for hit in search(tmp_path / "run", query, k=3))
    assert all("/Art/" in hit.path for hit in search(tmp_path / "run", query, k=3, domain="real"))
    assert embed_folder(tmp_path / "run", tmp_path / "new" / "Real_World").domain == "Real World"


def test_a_data_set_needs_a_folder(tmp_path, capsys):
    line = [
        "train",
        "Art",
        "Clipart",
        str(tmp_path / "run"),
        "--method",
        "Frozen",
        "--dataset",
        "office-home",
    ]
    assert cli.main(line) == 2 and "--dataset office-home needs --root" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        cli.main([*line[:-1], "office"])
    assert left.value.code == 2 and not (tmp_path / "run").exists()


def test_pairs_are_of_the_data_sets_domains(home):
    dataset = DATASETS["office-home"]
    assert chain(home, dataset=dataset) == (("Art", "Clipart"), ("Clipart", "Real World"))
    assert len(all_pairs(home, dataset=dataset)) == 3
    assert Source(home, dataset="office-home").names(("real_world", "art")) == ("Real World", "Art")
    assert Source(home).names(("real_world", "art")) == ("real_world", "art")


@pytest.mark.parametrize(
    ("name", "split", "number"),
    [("sketchy", "25", 25), ("sketchy", "21", 21), ("tu-berlin", None, 30), ("domainnet", None, 45)],
)
def test_published_splits_name_the_unseen_classes(tmp_path, name, split, number):
    found = Source(tmp_path, dataset=name).resolve(ZeroShot(split=split))
    assert found.unseen == DATASETS[name].unseen(split) and len(found.unseen) == number
    assert not found.drawn


def test_what_is_given_is_not_replaced(tmp_path):
    home, sketchy = (Source(tmp_path, dataset=name) for name in ("office-home", "sketchy"))
    assert home.resolve(ZeroShot()) == ZeroShot()
    assert sketchy.resolve(ZeroShot(unseen=("bat",))).unseen == ("bat",)
    assert sketchy.resolve(Closed()) == Closed()


@pytest.mark.parametrize(
    ("dataset", "protocol", "words"),
    [
        ("sketchy", ZeroShot(), "name a zero-shot split; it has 25, 21"),
        ("sketchy", ZeroShot(split="30"), "no zero-shot split '30'"),
        ("pacs", ZeroShot(split="25"), "it has none"),
        (None, ZeroShot(split="25"), "a split of a data set"),
        ("sketchy", ZeroShot(split="25", unseen=("bat",)), "no --unseen"),
    ],
)
def test_a_split_that_does_not_fit_is_one_line(tmp_path, dataset, protocol, words):
    with pytest.raises(InputError, match=words):
        Source(tmp_path, dataset=dataset).resolve(protocol)


def test_the_embedded_images_have_their_own_split():
    with pytest.raises(InputError, match="a split of a data set"):
        Source().resolve(ZeroShot(split="25"))
    assert len(Source().resolve(ZeroShot()).unseen) == 25
