"""Query expansion against loops and by hand."""

import math

import torch

from tpsnet.neighbours import expand, query_expansion


def slow_expand(both, k, power):
    """Neighbour by neighbour, on lists."""
    expanded = []
    for rows in both:
        found = []
        for z in rows:
            total = [0.0] * len(z)
            for other in both:
                cosines = [sum(a * b for a, b in zip(z, y, strict=True)) for y in other]
                near = sorted(range(len(other)), key=lambda j: -cosines[j])[:k]
                said = [
                    sum(max(0, cosines[j]) ** power * other[j][axis] for j in near) for axis in range(len(z))
                ]
                norm = math.hypot(*said) or 1
                total = [t + x / norm for t, x in zip(total, said, strict=True)]
            found.append([t / math.hypot(*total) for t in total])
        expanded.append(found)
    return expanded


def test_expansion_is_the_slow_one(unit):
    both = [unit(9, 4), unit(7, 4)]
    for k, power in ((1, 3.0), (3, 1.0), (5, 3.0), (50, 2.0)):  # the last: more than there are
        found = query_expansion(both, k, power)
        for ours, theirs in zip(found, slow_expand([x.tolist() for x in both], k, power), strict=True):
            torch.testing.assert_close(ours, torch.tensor(theirs, dtype=torch.float64))
        torch.testing.assert_close(torch.cat(found).norm(dim=1), torch.ones(16, dtype=torch.float64))


def test_expansion_by_hand():
    """Alone in its domain, with one neighbour at a right angle of no weight and one at 45 degrees."""
    line, flat = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [math.sqrt(0.5), math.sqrt(0.5)]])
    (ours, _) = query_expansion([line, flat], k=2)
    expected = torch.tensor([1 + math.sqrt(0.5), math.sqrt(0.5)])
    torch.testing.assert_close(ours[0], expected / expected.norm())


def test_more_rows_than_are_searched_at_once(unit):
    both = [unit(270, 4), unit(3, 4)]
    (ours, _), (theirs, _) = query_expansion(both, 2), slow_expand([x.tolist() for x in both], 2, 3.0)
    torch.testing.assert_close(ours, torch.tensor(theirs, dtype=torch.float64), atol=1e-6, rtol=0)


def test_a_new_row_counts_as_a_domain_of_its_own(circle):
    """Between two images at ±60°, one a domain, it stays where it is; it moves where one is missing."""
    rows, domains = circle(0), [circle(60), circle(-60)]
    torch.testing.assert_close(expand(rows, domains, 1, new=True), rows)
    torch.testing.assert_close(expand(rows, domains[:1], 5, new=True), circle(30))
    torch.testing.assert_close(expand(rows, domains[:1], 5), circle(60))
