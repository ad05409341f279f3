"""Neighbours after diffusion: the graph they come from, and who is left out."""

import torch
import torch.nn.functional as F

from tpsnet.neighbours import neighbour_graph
from tpsnet.targets import diffused, neighbours_in


def test_rows_are_what_the_graph_leaves(unit):
    domains = [unit(9, 4), unit(7, 4)]
    graph = neighbour_graph(domains, 3, 3.0)
    expected = F.normalize(graph.spread(torch.cat(domains), 0.9, 20), dim=1)
    found = diffused(domains, 3, 0.9)
    torch.testing.assert_close(torch.cat(found), expected)
    assert [len(z) for z in found] == [9, 7]
    assert (torch.cat(found) - torch.cat(domains)).abs().max() > 1e-2


def test_neighbours_are_the_nearest_of_each_domain_and_never_the_row_itself(unit):
    domains = [unit(9, 4), unit(7, 4)]
    found = neighbours_in(domains, 3)
    for a in range(2):
        for b in range(2):
            cosine = domains[a] @ domains[b].T
            if a == b:
                cosine.fill_diagonal_(-torch.inf)
            assert torch.equal(found[a][b], cosine.topk(3, dim=1).indices)


def test_a_small_domain_gives_what_it_has(unit):
    found = neighbours_in([unit(6, 4), unit(2, 4)], 4)
    assert [[len(x[0]) for x in row] for row in found] == [[4, 2], [4, 1]]


def test_a_path_of_neighbours_leads_to_images_that_are_not_alike(circle):
    """Along a chain the end is nearer after diffusion than by cosine; a row away from it stays away."""
    chain = circle(0, 25, 50, 75, 100, 230)
    near = diffused([chain, circle(10, 60, 90)], 2, 0.9)[0]
    assert near[0] @ near[4] > 0.3 > chain[0] @ chain[4]
    assert near[0] @ near[5] < near[0] @ near[4]
