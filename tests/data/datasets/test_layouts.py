"""The trees that archives unpack to and peers make of them: one data set is read alike from all of them."""

import logging
import shutil

import pytest

from tpsnet.data import DATASETS, image_folder, listed, load_pair, zero_shot_split
from tpsnet.errors import InputError

BED, MUG, BIKE, PEN = "Bed", "Mug", "back_pack", "pen"
DOMAINNET = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
LAYOUTS = [
    (
        "office-home",
        {"Art": "OfficeHomeDataset_10072016/Art", "Real World": "OfficeHomeDataset_10072016/Real World"},
    ),
    ("office-home", {"Art": "Art", "Real World": "Real World"}),
    ("office-home", {"Art": "Art/train", "Real World": "Real/train"}),
    ("office-home", {"Clipart": "Clipart", "Real World": "Real_World"}),
    ("office-31", {"amazon": "amazon/images", "dslr": "dslr/images"}),
    ("office-31", {"amazon": "amazon", "webcam": "webcam"}),
    ("domainnet", {name: name for name in DOMAINNET}),
    ("domainnet", {name: f"{name}/train" for name in DOMAINNET}),
    ("pacs", {"art_painting": "kfold/art_painting", "photo": "kfold/photo"}),
    ("vlcs", {"SUN09": "VLCS/SUN09", "VOC2007": "VLCS/VOC2007"}),
    (
        "sketchy",
        {"photo": "256x256/photo/tx_000000000000_ready", "sketch": "256x256/sketch/tx_000000000000_ready"},
    ),
    ("sketchy", {"photo": "256x256/photo/tx_000000000000", "sketch": "256x256/sketch/tx_000000000000"}),
    ("sketchy", {"photo": "Sketchy/extended_photo", "sketch": "Sketchy/sketch/tx_000000000000"}),
    ("tu-berlin", {"photo": "ImageResized_ready", "sketch": "png_ready"}),
    ("tu-berlin", {"photo": "TU-Berlin/images", "sketch": "TU-Berlin/sketches"}),
    ("quickdraw", {"photo": "QuickDraw_images_final", "sketch": "QuickDraw_sketches_final"}),
    ("quickdraw", {"photo": "images", "sketch": "sketches"}),
]


@pytest.mark.parametrize(("name", "places"), LAYOUTS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(LAYOUTS)])
def test_every_layout_gives_the_same_domains_and_classes(tree, caplog, name, places):
    dataset = DATASETS[name]
    first, last = dataset.classes[0], dataset.classes[-1]
    root = tree({f"{place}/{c}": n for place in places.values() for n, c in ((1, first), (2, last))})
    domains = image_folder(root, dataset=dataset)
    assert list(domains) == [domain.name for domain in dataset.domains if domain.name in places]
    for domain in domains.values():
        assert domain.class_names == (first, last) and domain.labels.tolist() == [0, 1, 1]
    assert not caplog.records


def test_domains_are_asked_for_by_any_of_their_names(tree):
    root = tree({"Art/Bed": 1, "Real_World/Bed": 2, "Clipart/Bed": 1})
    for asked in ("Real", "Real World", "real_world"):
        domains = image_folder(root, [asked, "art"], dataset=DATASETS["office-home"])
        assert [(name, len(domain)) for name, domain in domains.items()] == [("Real World", 2), ("Art", 1)]
    pair = load_pair(root, ("Real", "ART"), 16, dataset=DATASETS["office-home"])
    assert pair.names == ("Real World", "Art") and pair.class_names == ("Bed",)
    with pytest.raises(InputError, match="'Real World' is asked for twice"):
        image_folder(root, ["Real", "Real World"], dataset=DATASETS["office-home"])


def test_a_domain_that_is_not_there_is_told_with_its_source(tree):
    root = tree({"Art/Bed": 1})
    with pytest.raises(InputError, match=r"'Product' is not there \(has Art\); get it from https://.*terms"):
        image_folder(root, ["Product"], dataset=DATASETS["office-home"])
    with pytest.raises(InputError, match="no domain 'Photo'; did you mean 'Product'"):
        image_folder(root, ["Photo"], dataset=DATASETS["office-home"])


def test_a_class_called_train_is_no_layout(tree):
    """DomainNet has one, and UCDIR keeps classes in DOMAIN/train."""
    usual = image_folder(tree({"real/train": 2, "real/ant": 1}), dataset=DATASETS["domainnet"])
    assert usual["real"].class_names == ("ant", "train") and len(usual["real"]) == 3


def test_a_class_called_train_within_train(tree):
    domains = image_folder(tree({"real/train/train": 2, "real/train/ant": 1}), dataset=DATASETS["domainnet"])
    assert domains["real"].class_names == ("ant", "train") and len(domains["real"]) == 3


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ({"Real World/Bed": 1, "Real/Bed": 1}, "'Real World' lies in .*Real World and in .*Real; keep one"),
        ({"Art/Bed": 1, "OfficeHomeDataset_10072016/Art/Bed": 1}, "'Art' lies in .*10072016/Art; keep one"),
        ({"Art/Bed": 1, "Art/train/Bed": 1}, "'Art' lies in .*Art/train; keep one"),
    ],
)
def test_a_domain_twice_is_refused_never_summed(tree, classes, words):
    root = tree(classes)
    with pytest.raises(InputError, match=words) as error:
        image_folder(root, dataset=DATASETS["office-home"])
    assert "\n" not in str(error.value)


def test_a_link_to_the_same_folder_is_no_second_domain(tree):
    root = tree({"Real World/Bed": 2})
    (root / "Real").symlink_to(root / "Real World")
    assert len(image_folder(root, dataset=DATASETS["office-home"])["Real World"]) == 2


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ({"Bed": 1, "Mug": 1}, "holds classes, as one domain does; give the folder above it"),
        ({"archive/Art/Bed": 1}, "did you mean .*root/archive"),
        ({"cats/Bed/more": 1}, r"expected Art/CLASS/IMAGE and the like; get it from https://"),
        ({"Artwork/Bed": 1, "Real Worlds/Bed": 1}, "no domain of Office-Home in it"),
        ({"Art/Bedroom": 1, "Clipart/My Mug": 1}, "no domain of Office-Home in it"),
    ],
)
def test_a_wrong_root_is_one_line_that_helps(tree, classes, words):
    root = tree(classes)
    with pytest.raises(InputError, match=words) as error:
        image_folder(root, dataset=DATASETS["office-home"])
    assert str(root) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: cannot read this folder"):
        image_folder(tmp_path / "nowhere", dataset=DATASETS["pacs"])


def test_litter_strays_and_dead_links_are_passed_over_and_told(tree, caplog):
    root = tree({"amazon/images/pen": 2, "amazon/images/pencil case": 1, "amazon/images/pen/more": 1})
    shutil.copytree(root / "amazon/images/pen", root / "amazon/images/__MACOSX/pen")
    (root / "amazon/images/.DS_Store").touch()
    (root / "amazon/images/pen/Thumbs.db").touch()
    (root / "amazon/images/pen/notes.txt").touch()
    (root / "amazon/images/pen/gone.jpg").symlink_to(root / "nowhere")
    shutil.copy(root / "amazon/images/pen/000.png", root / "amazon/images/loose.png")
    with caplog.at_level(logging.WARNING):
        domain = image_folder(root, dataset=DATASETS["office-31"])["amazon"]
    assert len(domain) == 2 and domain.class_names == ("pen",)
    kinds = sorted(r.getMessage().removeprefix("passed over ").split(", the")[0] for r in caplog.records)
    assert kinds == [
        ".txt files: 1",
        "folders of no class of Office-31: 1",
        "images above the class folders: 1",
        "images in folders below the class folders: 1",
        "links to nothing: 1",
    ]


def test_both_folders_of_sketchys_photos_are_read_under_one_name(tree):
    base, more = "256x256/photo/tx_000000000000_ready", "EXTEND_image_sketchy_ready"
    root = tree({f"{base}/ant": 1, f"{base}/bat": 1, f"{more}/ant": 3, f"{more}/hot_air_balloon": 1})
    domain = image_folder(root, dataset=DATASETS["sketchy"])["photo"]
    assert domain.class_names == ("ant", "bat", "hot-air_balloon")
    assert domain.labels.tolist() == [0, 0, 0, 0, 1, 2]


def test_a_class_under_two_spellings_in_one_domain_is_refused(tree):
    root = tree({"png/alarm clock": 1, "png/alarm_clock": 1})
    with pytest.raises(InputError, match="'alarm clock' and 'alarm_clock' are both class 'alarm clock'"):
        image_folder(root, dataset=DATASETS["tu-berlin"])


def test_sketches_and_photos_share_classes_that_are_spelt_in_two_ways(tree):
    root = tree({"png/alarm clock": 1, "png/ant": 1, "ImageResized/alarmclock": 2, "ImageResized/ant": 1})
    pair = load_pair(root, ("sketch", "photo"), 16, dataset=DATASETS["tu-berlin"])
    assert pair.class_names == ("alarm clock", "ant")
    split = zero_shot_split(*pair.domains, ["ant"])
    assert split.unseen == (1,) and split.seen == (0,)


def test_a_subset_keeps_its_classes_and_tells_of_the_others(tree, caplog):
    root = tree({f"{name}/{c}": 1 for name in ("clipart", "sketch") for c in ("ant", "bird", "zebra", "sun")})
    domains = image_folder(root, dataset=DATASETS["domainnet-7"])
    assert domains["clipart"].class_names == ("bird", "zebra")
    assert "folders of no class of DomainNet, seven classes: 4," in caplog.text


def test_published_lists_are_found_and_read(tree):
    root, dataset = tree({f"{name}/ant": 2 for name in DOMAINNET}), DATASETS["domainnet"]
    assert dataset.list_folder(root) is None
    (root / "splits").mkdir()
    for name in DOMAINNET:
        (root / "splits" / f"{name}_train.txt").write_text(f"{name}/ant/000.png 3\n")
        (root / "splits" / f"{name}_test.txt").write_text(f"{name}/ant/001.png 3\n")
    assert dataset.list_folder(root) == root / "splits"
    real = image_folder(root, ["real"], dataset=dataset)["real"]
    assert listed(real, dataset.list_folder(root), "test") == [1]
    assert DATASETS["pacs"].list_folder(root) is None
