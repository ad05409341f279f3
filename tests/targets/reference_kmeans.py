"""Lloyd's algorithm as plain loops over lists, from the definition."""


def squared(a: list[float], b: list[float]) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def nearest(rows: list[list[float]], centres: list[list[float]]) -> list[int]:
    return [min(range(len(centres)), key=lambda c: squared(row, centres[c])) for row in rows]


def slow_lloyd(
    rows: list[list[float]], centres: list[list[float]], iterations: int
) -> tuple[list[list[float]], list[int], float]:
    """Until no row moves; for data in which no cluster runs empty."""
    for _ in range(iterations):
        assignment = nearest(rows, centres)
        before = centres
        centres = []
        for c in range(len(before)):
            members = [row for row, a in zip(rows, assignment, strict=True) if a == c]
            centres.append([sum(column) / len(members) for column in zip(*members, strict=True)])
        if nearest(rows, centres) == assignment:
            break
    assignment = nearest(rows, centres)
    return centres, assignment, sum(squared(r, centres[a]) for r, a in zip(rows, assignment, strict=True))
