"""Re-ranking: against dense matrices, blind to labels, for known and for single queries, small domains."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tpsnet.evaluation import RERANKINGS, evaluate, rerank, reranking_rule
from tpsnet.evaluation.rerank import Diffusion, Expansion


@pytest.fixture
def both(embeddings, unit, rng):
    """Three classes round three directions; the domains differ in size."""
    centres, sizes = unit(3, 8), {"line": 30, "flat": 24}
    made = []
    for name, n in sizes.items():
        labels = torch.arange(n) % 3
        noise = 0.8 * torch.randn(n, 8, generator=rng, dtype=torch.float64)
        made.append(embeddings(name, F.normalize(centres[labels] + 0.3 * noise, dim=1), labels))
    return tuple(made)


def slow_diffusion(z, sizes, k, power, share, steps):
    """With whole matrices; each row chooses its k nearest others of each domain."""
    cosine = z @ z.T
    a = torch.zeros_like(cosine)
    for i in range(len(z)):
        for domain in torch.arange(len(z)).split(sizes):
            others = domain[domain != i]
            near = others[cosine[i, others].argsort(descending=True)[:k]]
            a[i, near] = cosine[i, near].clamp_min(0) ** power
    w = (a + a.T) / 2
    s = w / (w.sum(0)[:, None] * w.sum(0)).sqrt()
    y = z
    for _ in range(steps):
        y = share * s @ y + (1 - share) * z
    return F.normalize(y, dim=1)


def test_diffusion_is_the_dense_one(both):
    q, g = rerank(both, "diffusion", known_queries=True)
    z, rule = torch.cat([part.vectors for part in both]), RERANKINGS["diffusion"]
    expected = slow_diffusion(z, [30, 24], rule.neighbours, rule.power, rule.share, rule.steps)
    torch.testing.assert_close(torch.cat([q.vectors, g.vectors]), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", RERANKINGS)
@pytest.mark.parametrize("known", [True, False])
def test_no_label_is_read(both, name, known):
    plain = rerank(both, name, known_queries=known)
    poisoned = tuple(replace(part, labels=torch.zeros_like(part.labels)) for part in both)
    for ours, theirs in zip(plain, rerank(poisoned, name, known_queries=known), strict=True):
        assert ours.vectors.equal(theirs.vectors)


@pytest.mark.parametrize("name", RERANKINGS)
@pytest.mark.parametrize("known", [True, False])
def test_neighbours_help_where_classes_lie_together(both, name, known):
    plain, better = evaluate(*both, ks=(1,)), evaluate(*rerank(both, name, known_queries=known), ks=(1,))
    assert better.mean_ap > plain.mean_ap + 1


@pytest.mark.parametrize("name", RERANKINGS)
def test_the_order_of_the_images_does_not_matter(both, name, rng):
    orders = [torch.randperm(len(part), generator=rng).tolist() for part in both]
    plain = rerank(both, name, known_queries=True)
    shuffled = tuple(part.subset(order) for part, order in zip(both, orders, strict=True))
    for ours, theirs, order in zip(plain, rerank(shuffled, name, known_queries=True), orders, strict=True):
        torch.testing.assert_close(ours.vectors[order], theirs.vectors, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", RERANKINGS)
def test_a_query_that_comes_alone_does_not_know_the_others(both, name):
    whole = rerank(both, name, known_queries=False)
    for i in (0, 7):
        one = rerank((both[0].subset([i]), both[1]), name, known_queries=False)
        torch.testing.assert_close(one[0].vectors[0], whole[0].vectors[i])
        assert one[1].vectors.equal(whole[1].vectors)
    together = rerank((both[0].subset([0, 7]), both[1]), name, known_queries=True)
    assert not torch.allclose(together[0].vectors[0], whole[0].vectors[0])


@pytest.mark.parametrize("name", RERANKINGS)
def test_more_neighbours_than_a_domain_has_are_all_of_it(both, name):
    few = tuple(part.subset(range(3)) for part in both)
    q, g = rerank(few, name, known_queries=True)
    assert len(q) == len(g) == 3
    torch.testing.assert_close(q.vectors.norm(dim=1), torch.ones(3, dtype=torch.float64))


def test_rejections_of_the_embeddings_are_not_those_of_the_ranking(both):
    refused = replace(both[0], rejected=torch.ones(30, dtype=torch.bool))
    assert rerank((refused, both[1]), "diffusion", known_queries=True)[0].rejected is None


def test_a_query_unlike_everything_stays_where_it_is(embeddings, circle):
    """Nothing in the gallery ties it, so that it is pulled nowhere."""
    q, g = embeddings("q", circle(0, 180), [0, 1]), embeddings("g", circle(5, 10), [0, 0])
    for known in (True, False):
        found, _ = rerank((q, g), "diffusion", known_queries=known)
        torch.testing.assert_close(found.vectors[1], q.vectors[1])


def test_the_card_names_rule_settings_and_what_is_known():
    known, alone = (reranking_rule("diffusion", known_queries=flag) for flag in (True, False))
    settings = "neighbours 5, power 3, share 0.98, steps 20"
    assert settings in known and known.endswith("neighbours among queries and gallery")
    assert alone.endswith("neighbours among the gallery; every query comes alone")
    assert "neighbours 10, power 3" in reranking_rule("expansion", known_queries=True)
    assert {"expansion": Expansion(), "diffusion": Diffusion()} == RERANKINGS
