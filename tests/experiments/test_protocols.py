"""Protocols as values: what training may see, what is embedded, kept and scored, and what is refused."""

import dataclasses

import pytest
import torch
from pictures import write_tree

from tpsnet.data import embedded_unseen, load_pair
from tpsnet.errors import InputError
from tpsnet.evaluation import ProtocolCard, evaluate, evaluate_zero_shot, rerank
from tpsnet.experiments import PROTOCOLS, Closed, Universal, ZeroShot
from tpsnet.methods import Frozen, FrozenConfig, embeddings

BEE = 1  # of three classes


@pytest.fixture
def whole(backbone, pair):
    return embeddings(Frozen(backbone, FrozenConfig()), pair)


def classes(part) -> set[int]:
    return set(part.labels.tolist())


def test_closed_scores_both_directions_of_all_images(pair, whole):
    protocol = Closed(ks=(1, 5))
    arranged = protocol.arrange(pair, seed=3)
    assert arranged.train is pair and arranged.test is pair and not protocol.drawn
    there, back = protocol.score(whole, arranged, seed=3, trained=True)
    assert (there["query"], there["gallery"], there["kind"]) == ("flat", "line", "all")
    assert back["metrics"] == evaluate(*whole[::-1], ks=(1, 5)).metrics()
    assert tuple(there["card"]["seeds"]) == (3,) and there["card"]["label_spaces"] == "closed"
    assert tuple(protocol.score(whole, arranged, seed=3, trained=False)[0]["card"]["seeds"]) == ()


@pytest.mark.parametrize(
    "protocol", [Closed(ks=(1,)), Universal("open", ks=(1,)), ZeroShot(("bee",), ks=(2,))]
)
def test_every_direction_is_scored_as_embedded_and_re_ranked(pair, backbone, protocol):
    """By the same measure, on what ``rerank`` makes of queries and gallery; zero-shot queries come alone."""
    arranged = protocol.arrange(pair, seed=0)
    both = embeddings(Frozen(backbone, FrozenConfig()), arranged.test)
    first = protocol.score(both, arranged, seed=0, trained=False)[0]
    alone = isinstance(protocol, ZeroShot)
    assert list(first["reranked"]) == list(first["card"]["rerankings"]) == ["expansion", "diffusion"]
    assert all(("comes alone" in rule) == alone for rule in first["card"]["rerankings"].values())
    queries = protocol.kept(both, arranged)
    for name, metrics in first["reranked"].items():
        q, g = rerank(queries, name, known_queries=not alone)
        measured = evaluate_zero_shot(q, g, ks=(2,)) if alone else evaluate(q, g, ks=(1,))
        assert metrics == measured.metrics() and metrics.keys() == first["metrics"].keys()
    plain = dataclasses.replace(protocol, rerankings=())
    assert plain.score(both, arranged, seed=0, trained=False)[0]["reranked"] == {}


def test_what_is_rejected_is_decided_anew_after_a_re_ranking(pair, backbone):
    protocol = Universal("open", ks=(1,))
    arranged = protocol.arrange(pair, seed=0)
    both = embeddings(Frozen(backbone, FrozenConfig()), arranged.test)
    judged = []

    def reject(given):
        judged.append(given)
        rejected = torch.full((len(given[0]),), len(judged) > 1)
        return dataclasses.replace(given[0], rejected=rejected), given[1]

    (only,) = protocol.score(reject(both), arranged, seed=0, trained=False, reject=reject)
    assert len(judged) == 3  # once as embedded, before, and once for each re-ranking
    for given, name in zip(judged[1:], ("expansion", "diffusion"), strict=True):
        assert given[0].vectors.equal(rerank(both, name, known_queries=True)[0].vectors)
    shares = [m["kept with a match"] for m in (only["metrics"], *only["reranked"].values())]
    assert shares == [100.0, 0.0, 0.0]


@pytest.mark.parametrize(("spaces", "queries", "gallery"), [("partial", 1, 3), ("open", 3, 1)])
def test_universal_divides_the_classes_and_scores_one_direction(pair, backbone, spaces, queries, gallery):
    protocol = Universal(spaces=spaces, ks=(1, 5))
    arranged = protocol.arrange(pair, seed=1)
    assert protocol.name == spaces and protocol.drawn and protocol.rejects
    assert [len(classes(d)) for d in arranged.train.domains] == [queries, gallery]
    assert arranged.train is arranged.test
    for domain, images in zip(arranged.train.domains, arranged.train.images, strict=True):
        assert len(domain) == len(images)
    (only,) = protocol.score(
        embeddings(Frozen(backbone, FrozenConfig()), arranged.test), arranged, seed=1, trained=False
    )
    assert only["card"]["label_spaces"] == f"{spaces}, drawn by seed 1"


def test_zero_shot_trains_on_seen_classes_and_queries_unseen_ones(pair, whole):
    protocol = ZeroShot(unseen=("bee",), ks=(2, 5), mode="strict")
    arranged = protocol.arrange(pair, seed=0)
    assert not protocol.drawn and ZeroShot().drawn
    assert all(classes(d) == {0, 2} for d in arranged.train.domains)
    assert all(classes(d) == {0, 1, 2} for d in arranged.test.domains)
    kept = protocol.kept(whole, arranged)
    assert all(classes(part) == {BEE} for part in kept)
    found = protocol.score(whole, arranged, seed=0, trained=True)
    assert [(d["kind"], d["query"], d["gallery"]) for d in found] == [
        ("unseen", "flat", "line"),
        ("unseen", "line", "flat"),
        ("generalised", "flat", "line"),
        ("generalised", "line", "flat"),
    ]
    expected = evaluate_zero_shot(kept[1], whole[0], ks=(2, 5), mode="strict")
    assert found[3]["metrics"] == expected.metrics()
    assert "generalised" in found[3]["card"]["label_spaces"]


def test_seen_classes_can_be_fewer_than_the_others(pair):
    arranged = ZeroShot(unseen=("bee",), seen=("cat",), ks=(2,)).arrange(pair, seed=0)
    assert all(classes(d) == {2} for d in arranged.train.domains)
    assert all(classes(d) == {1, 2} for d in arranged.test.domains)
    with pytest.raises(InputError, match="both seen and unseen"):
        ZeroShot(unseen=("bee",), seen=("bee",), ks=(2,)).arrange(pair, seed=0)


def write_lists(folder, train: int) -> None:
    """Of each class the first images train, the others are tested."""
    folder.mkdir()
    for domain in ("flat", "line"):
        for part, numbers in (("train", range(train)), ("test", range(train, 5))):
            lines = [f"{domain}/{c}/{i}.png 0" for c in ("ant", "bee", "cat") for i in numbers]
            (folder / f"{domain}_{part}.txt").write_text("\n".join(lines))


@pytest.mark.parametrize(
    "protocol", [Closed(ks=(1,)), Universal(spaces="open", ks=(1,)), ZeroShot(unseen=("bee",), ks=(2,))]
)
def test_published_lists_say_which_images_train_and_which_are_tested(pair, tmp_path, protocol, backbone):
    write_lists(tmp_path / "lists", train=3)
    arranged = dataclasses.replace(protocol, lists=tmp_path / "lists").arrange(pair, seed=0)
    for d in range(2):
        assert {p.stem for p in arranged.train.domains[d].paths} == {"0", "1", "2"}
        assert {p.stem for p in arranged.test.domains[d].paths} == {"3", "4"}
    plain = protocol.arrange(pair, seed=0)
    assert [classes(d) for d in arranged.test.domains] == [classes(d) for d in plain.test.domains]
    both = embeddings(Frozen(backbone, FrozenConfig()), arranged.test)
    direction = dataclasses.replace(protocol, lists=tmp_path / "lists").score(
        both, arranged, seed=0, trained=False
    )[0]
    assert "published train and test lists" in direction["card"]["split"]


def test_lists_that_lack_a_class_change_neither_the_draw_nor_what_is_unseen(pair, whole, tmp_path):
    """A seen class without training images is no unseen one; both parts have the classes of one draw."""
    folder = tmp_path / "lists"
    write_lists(folder, train=3)
    for part, gone in (("train", "ant"), ("test", "cat")):
        file = folder / f"flat_{part}.txt"
        file.write_text("\n".join(line for line in file.read_text().splitlines() if gone not in line))
    zero_shot = ZeroShot(("bee",), ks=(2,), lists=folder)
    arranged = zero_shot.arrange(pair, seed=0)
    kept = zero_shot.kept(restricted(whole, arranged.test), arranged)
    assert all(classes(part) == {BEE} for part in kept)
    for seed in range(4):
        drawn = Universal("open", ks=(1,)).arrange(pair, seed).test
        listed = Universal("open", ks=(1,), lists=folder).arrange(pair, seed)
        for part, gone in ((listed.train, 0), (listed.test, 2)):
            assert classes(part.domains[0]) == classes(drawn.domains[0]) - {gone}
            assert classes(part.domains[1]) == classes(drawn.domains[1])


def test_an_edited_list_is_another_protocol(tmp_path):
    write_lists(tmp_path / "lists", train=3)
    protocol = Closed(lists=tmp_path / "lists")
    before = protocol.fingerprint(("flat", "line"))
    assert len(before) == 4 and Closed().fingerprint(("flat", "line")) == {}
    with (tmp_path / "lists" / "line_train.txt").open("a") as file:
        file.write("\nline/ant/4.png 0")
    after = protocol.fingerprint(("flat", "line"))
    assert {name for name in before if before[name] != after[name]} == {"line_train.txt"}


def test_either_engine_can_be_forced(pair, whole):
    """The numbers are the same, and the card names the engine."""
    protocols = (Closed(ks=(1, 5)), Universal("open", ks=(1, 5)), ZeroShot(("bee",), ks=(2,)))
    for protocol in protocols:
        found = {}
        for engine in ("torch", "faiss"):
            forced = dataclasses.replace(protocol, engine=engine)
            arranged = forced.arrange(pair, seed=0)
            both = whole if protocol.name == "closed" else restricted(whole, arranged.test)
            found[engine] = forced.score(both, arranged, seed=0, trained=False)
            assert {d["card"]["engine"] for d in found[engine]} == {engine}
        assert [d["metrics"] for d in found["torch"]] == [d["metrics"] for d in found["faiss"]]


def restricted(whole, test):
    """Embeddings of the test images alone."""
    parts = zip(whole, test.domains, strict=True)
    return tuple(part.subset([part.paths.index(p) for p in domain.paths]) for part, domain in parts)


@pytest.mark.parametrize(
    ("protocol", "left_out"),
    [
        (Closed(ks=(1, 16)), [[16], [16]]),
        (Universal(spaces="open", ks=(1, 6)), [[6]]),
        (ZeroShot(unseen=("bee",), ks=(1, 6)), [[6], [6], [], []]),  # the generalised gallery is larger
    ],
)
def test_a_depth_beyond_the_gallery_is_left_out_and_the_card_says_so(pair, backbone, protocol, left_out):
    arranged = protocol.arrange(pair, seed=0)
    both = embeddings(Frozen(backbone, FrozenConfig()), arranged.test)
    found = protocol.score(both, arranged, seed=0, trained=False)
    assert [list(d["card"]["left_out"]) for d in found] == left_out
    for direction in found:
        deep, card = direction["card"]["left_out"], ProtocolCard(**direction["card"])
        for metrics in (direction["metrics"], *direction["reranked"].values()):
            assert not any(name.endswith(f"@{k}") for k in deep for name in metrics)
        sizes = f"k = {deep[0]}, beyond the gallery of {card.n_gallery}" if deep else ""
        assert ("**left out**" in card.markdown()) == bool(deep) and sizes in card.markdown()


def test_the_embedded_images_have_unseen_names_of_their_own():
    assert PROTOCOLS["zero-shot"].embedded().unseen == embedded_unseen()
    assert ZeroShot(unseen=("bee",)).embedded().unseen == ("bee",)
    assert PROTOCOLS["open"].embedded() == PROTOCOLS["open"]
    assert [p.name for p in PROTOCOLS.values()] == list(PROTOCOLS)


def test_a_restricted_pair_holds_the_same_images_twice(pair):
    """Labels and pixels stay together."""
    train = Universal(spaces="open", ks=(1,)).arrange(pair, seed=1).train
    for domain, images, before in zip(train.domains, train.images, range(2), strict=True):
        for path, pixels in zip(domain.paths, images.pixels, strict=True):
            at = pair.domains[before].paths.index(path)
            assert torch.equal(pixels, pair.images[before].pixels[at])


def test_bad_pairs_are_one_line(root, tmp_path):
    with pytest.raises(InputError, match="lines"):
        load_pair(root, ("flat", "lines"), 32)
    strangers = write_tree(tmp_path / "strangers", {"a": ("ant",), "b": ("bee",)})
    with pytest.raises(InputError, match="class"):
        load_pair(strangers, ("a", "b"), 32)
