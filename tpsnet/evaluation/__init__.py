"""From embeddings to rankings and numbers; every number carries the protocol that made it."""

from tpsnet.evaluation.detection import detection
from tpsnet.evaluation.failures import Hubs, flipped, hubs, style_before_class
from tpsnet.evaluation.metrics import METRIC_VERSION, Facts, Scores, average_precision, evaluate
from tpsnet.evaluation.protocol import METRICS, ProtocolCard, definition, family, in_order, protocol_card
from tpsnet.evaluation.purity import of_majority, purity
from tpsnet.evaluation.rank import iter_rankings, rank
from tpsnet.evaluation.rerank import RERANKINGS, rerank, reranking_rule
from tpsnet.evaluation.saved import is_saved, load_saved, method_of, save_both, score_saved
from tpsnet.evaluation.zero_shot import ZeroShotScores, evaluate_zero_shot

__all__ = [
    "METRICS",
    "METRIC_VERSION",
    "RERANKINGS",
    "Facts",
    "Hubs",
    "ProtocolCard",
    "Scores",
    "ZeroShotScores",
    "average_precision",
    "definition",
    "detection",
    "evaluate",
    "evaluate_zero_shot",
    "family",
    "flipped",
    "hubs",
    "in_order",
    "is_saved",
    "iter_rankings",
    "load_saved",
    "method_of",
    "of_majority",
    "protocol_card",
    "purity",
    "rank",
    "rerank",
    "reranking_rule",
    "save_both",
    "score_saved",
    "style_before_class",
]
