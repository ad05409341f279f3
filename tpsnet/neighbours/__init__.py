"""Who is near whom: exact search, query expansion, and diffusion over the graph of two domains."""

from tpsnet.neighbours.expansion import expand, query_expansion
from tpsnet.neighbours.graph import NeighbourGraph, neighbour_graph
from tpsnet.neighbours.search import best_first, cosines, nearest, placer, places, resolve_engine, searcher

__all__ = [
    "NeighbourGraph",
    "best_first",
    "cosines",
    "expand",
    "nearest",
    "neighbour_graph",
    "placer",
    "places",
    "query_expansion",
    "resolve_engine",
    "searcher",
]
