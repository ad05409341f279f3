"""What is written down of the data sets agrees with itself and with the figures that papers print."""

import unicodedata

import pytest

from tpsnet.data import DATASETS, label, style_of
from tpsnet.data.styles import STYLES
from tpsnet.errors import InputError

ALL = sorted(DATASETS)
CLASSES = {"office-home": 65, "office-31": 31, "domainnet": 345, "domainnet-7": 7, "pacs": 7, "vlcs": 5}
CLASSES |= {"sketchy": 125, "tu-berlin": 250, "quickdraw": 110}
SPLITS = {"sketchy": {"25", "21"}, "tu-berlin": {"30"}, "quickdraw": {"30"}, "domainnet": {"45"}}
IMAGES = {"office-home": 15_588, "office-31": 4_110, "domainnet": 586_575, "pacs": 9_991, "vlcs": 10_729}


def test_every_data_set_has_its_classes():
    assert {name: len(dataset.classes) for name, dataset in DATASETS.items()} == CLASSES


@pytest.mark.parametrize("name", ALL)
def test_names_are_unique_composed_and_sorted(name):
    dataset = DATASETS[name]
    for names in (dataset.classes, *dataset.splits.values()):
        assert list(names) == sorted(set(names)) and all(names)
        assert all(one == unicodedata.normalize("NFC", one) == one.strip() for one in names)
    known = [one.casefold() for domain in dataset.domains for one in domain.names]
    assert len(known) == len(set(known))
    assert not set(dataset.classes) & set(dataset.whole)
    assert dataset.name == name and dataset.page.startswith("https://")


@pytest.mark.parametrize("name", ALL)
def test_other_spellings_lead_to_classes_and_hide_none(name):
    dataset = DATASETS[name]
    assert set(dataset.spellings.values()) <= set(dataset.classes)
    assert [dataset.class_of(one) for one in dataset.classes] == list(dataset.classes)
    assert all(set(domain.lacks) <= {*dataset.classes, *dataset.whole} for domain in dataset.domains)


@pytest.mark.parametrize("name", ALL)
def test_splits_are_of_the_named_size_within_the_classes(name):
    dataset = DATASETS[name]
    assert set(dataset.splits) == SPLITS.get(name, set())
    for split, unseen in dataset.splits.items():
        assert len(unseen) == int(split) and set(unseen) < set(dataset.classes)
        assert dataset.unseen(split) == unseen


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_the_images_of_the_domains_sum_to_what_is_published(name):
    assert sum(domain.images for domain in DATASETS[name].domains) == IMAGES[name]


def test_the_seven_classes_are_those_of_domainnet():
    seven, whole = DATASETS["domainnet-7"], DATASETS["domainnet"]
    assert sorted((*seven.classes, *seven.whole)) == list(whole.classes)
    assert [domain.name for domain in seven.domains] == [domain.name for domain in whole.domains]


def test_what_papers_print_of_the_splits():
    unseen = DATASETS["sketchy"].unseen
    assert {"windmill", "scissors", "tree", "wheelchair"} == set(unseen("25")) & set(unseen("21"))
    assert "giraffe" in unseen("21") and "swan" in unseen("25")
    assert {"The_Eiffel_Tower", "t-shirt"} < set(DATASETS["domainnet"].classes)
    assert "bottle opener" in DATASETS["tu-berlin"].unseen() and "palm tree" in DATASETS["quickdraw"].unseen()


@pytest.mark.parametrize(
    ("name", "split", "words"),
    [
        ("sketchy", None, "name a zero-shot split; it has 25, 21"),
        ("sketchy", "30", "no zero-shot split '30'; it has 25, 21"),
        ("pacs", None, "it has none"),
        ("pacs", "25", "it has none"),
    ],
)
def test_a_split_that_is_not_there_is_one_line(name, split, words):
    with pytest.raises(InputError, match=words):
        DATASETS[name].unseen(split)


@pytest.mark.parametrize("name", ALL)
def test_every_domain_is_known_by_all_its_names_and_has_a_style(name):
    dataset = DATASETS[name]
    for domain in dataset.domains:
        for known in domain.names:
            for form in (known, known.upper(), unicodedata.normalize("NFD", known)):
                assert dataset.domain(form) is domain
        assert style_of(domain.name) == STYLES[label(domain.name).lower().replace("_", " ")]


@pytest.mark.parametrize(
    ("asked", "words"),
    [("Reals", "did you mean 'Real World'"), ("World", "no domain 'World'"), ("", "no dom")],
)
def test_a_part_of_a_name_is_no_name(asked, words):
    with pytest.raises(InputError, match=words):
        DATASETS["office-home"].domain(asked)


@pytest.mark.parametrize(
    ("name", "folder", "found"),
    [
        ("tu-berlin", "alarm clock", "alarm clock"),
        ("tu-berlin", "alarm_clock", "alarm clock"),
        ("tu-berlin", "alarmclock", "alarm clock"),
        ("tu-berlin", "tshirt", "t-shirt"),
        ("tu-berlin", "t_shirt", "t-shirt"),
        ("tu-berlin", "griaffe", "giraffe"),
        ("tu-berlin", "bear_(animal)", "bear (animal)"),
        ("tu-berlin", "bearanimal", "bear (animal)"),
        ("tu-berlin", "mouse", "mouse (animal)"),
        ("tu-berlin", "bear", None),
        ("sketchy", "jack_o_lantern", "jack-o-lantern"),
        ("quickdraw", "palm_tree", "palm tree"),
        ("quickdraw", "fire hydrant", "fire_hydrant"),
        ("quickdraw", "hot air balloon", "hot-air_balloon"),
        ("domainnet-7", "zebra", "zebra"),
        ("domainnet-7", "zigzag", None),
        ("office-home", "alarm_clock", None),
    ],
)
def test_a_folder_is_a_class_by_a_name_that_some_release_has(name, folder, found):
    assert DATASETS[name].class_of(folder) == found
