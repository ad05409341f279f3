"""From embeddings to rankings and numbers; every number carries the protocol that made it."""

from tpsnet.evaluation.detection import Detection, detection
from tpsnet.evaluation.failures import Hubs, flipped, hubs, style_before_class
from tpsnet.evaluation.metrics import Scores, average_precision, evaluate
from tpsnet.evaluation.protocol import ProtocolCard
from tpsnet.evaluation.rank import iter_rankings, rank
from tpsnet.evaluation.saved import is_saved, load_saved, method_of, save_both, score_saved
from tpsnet.evaluation.zero_shot import ZeroShotScores, evaluate_zero_shot

__all__ = [
    "Detection",
    "Hubs",
    "ProtocolCard",
    "Scores",
    "ZeroShotScores",
    "average_precision",
    "detection",
    "evaluate",
    "evaluate_zero_shot",
    "flipped",
    "hubs",
    "is_saved",
    "iter_rankings",
    "load_saved",
    "method_of",
    "rank",
    "save_both",
    "score_saved",
    "style_before_class",
]
