"""All methods in all settings side by side, and their published numbers with what differs."""

from collections.abc import Mapping

from tpsnet.evaluation import Scores
from tpsnet.report.parts import table
from tpsnet.report.results import PUBLISHED as TPSNET
from tpsnet.report.universal import PUBLISHED as UEM_OPEN

# UEM (NeurIPS 2024, Tables 5 and 2): Office-Home, mAP@All, mean of 12 directions.
UEM_CLOSED, UEM_PARTIAL = 52.4, 46.0
OFFICE_HOME = "Office-Home (65 classes, photographs among the four domains), mean of 12 directions; "


def comparison_markdown(scores: Mapping[str, Mapping[str, Scores]]) -> str:
    """One table of all methods, then the published numbers.

    Args:
        scores: setting to method to scores; a method may lack settings.
    """
    methods = dict.fromkeys(method for by in scores.values() for method in by)
    head, lines = [""], [[method] for method in methods]
    for setting, by in scores.items():
        open_set = any(s.detection is not None and s.detection.h_score is not None for s in by.values())
        head += [f"{setting}: mAP@All", "P@1", *(["H-score"] if open_set else [])]
        for line in lines:
            line += _numbers(by.get(line[0]), open_set)
    published = [
        [f"{method}, {setting}", _here(scores, setting, method, metric), number, differs]
        for method, setting, metric, number, differs in _published()
    ]
    columns = ["", "here", "as published", "what differs there"]
    return "\n\n".join([table(head, lines), table(columns, published, numbers=False)]) + "\n"


def _published() -> list[tuple[str, str, str, str, str]]:
    mean_ap, rejected = UEM_OPEN["UEM"]
    halves = "; which classes make the halves is not printed"
    tpsnet = OFFICE_HOME + "CLIP ViT-B; as secondary sources report it"
    uem = OFFICE_HOME + "ResNet-50 from MoCo-v2, without any text; 100 + 50 epochs"
    unknown = "its numbers are not known to us"
    return [
        ("TPSNet", "closed", "P@1", f"P@1 {TPSNET['mean of 12']:.1f}", tpsnet),
        ("UEM", "closed", "mAP@All", f"mAP@All {UEM_CLOSED}", uem),
        ("UEM", "partial", "mAP@All", f"mAP@All {UEM_PARTIAL}", "the same" + halves),
        ("UEM", "open", "mAP@All", f"mAP@All {mean_ap}, {rejected} % rejected", "the same" + halves),
        ("CLAIR", "zero-shot", "mAP@All", "–", unknown),
    ]


def _here(scores: Mapping[str, Mapping[str, Scores]], setting: str, method: str, metric: str) -> str:
    found = scores.get(setting, {}).get(method)
    if found is None:
        return "–"
    if metric == "P@1":
        return f"P@1 {found.precision[1]:.1f}"
    rejected = found.detection and found.detection.private_accuracy
    return f"mAP@All {found.mean_ap:.1f}" + ("" if rejected is None else f", {rejected:.1f} % rejected")


def _numbers(found: Scores | None, open_set: bool) -> list[str]:
    if found is None:
        return ["–"] * (2 + open_set)
    numbers = [f"{found.mean_ap:.1f}", f"{found.precision[1]:.1f}"]
    if open_set:
        h = found.detection and found.detection.h_score
        numbers.append("–" if h is None else f"{h:.1f}")
    return numbers
