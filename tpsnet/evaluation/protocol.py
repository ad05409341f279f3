"""The protocol card: everything one must know to compare a retrieval number with another."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProtocolCard:
    """How a set of scores was made.

    What ``evaluate`` knows comes first, the rules of this package follow, the last four are told to it.

    Attributes:
        query_domain: name of the domain that asks.
        gallery_domain: name of the domain that is searched.
        n_query: pictures that ask, lone ones included.
        n_gallery: pictures that are searched.
        n_classes: classes that are in both.
        n_lone: queries without a relevant item in the gallery.
        ks: the depths of P@k.
        engine: who ranked; every engine of the package is exact.
        ties: order of equal scores.
        denominator: of the field's P@k, as in the official code of UCDIR (ECCV 2022) and ProtoOT (AAAI 2024).
        plain_denominator: of the textbook's P@k; empty where there is none.
        mean_ap: which mAP.
        lone_rule: what becomes of lone queries.
        self_match: whether a query can find itself.
        similarity: what is compared, and how it is normalised.
        label_spaces: which classes were taken from which domain.
        split: which pictures are used for what.
        epoch: which epoch's weights were used.
        seeds: of the training runs behind the number; empty where nothing is random.
    """

    query_domain: str
    gallery_domain: str
    n_query: int
    n_gallery: int
    n_classes: int
    n_lone: int
    ks: tuple[int, ...]
    engine: str
    ties: str
    denominator: str = "100 · Σ_q hits in the first min(k, n_q) / Σ_q min(k, n_q)"
    plain_denominator: str = "100 · mean over queries of hits in the first k / k"
    mean_ap: str = "not interpolated, over the whole gallery, mean over queries"
    lone_rule: str = "left out"
    self_match: str = "impossible, two domains"
    similarity: str = "cosine of unit rows"
    label_spaces: str = "closed"
    split: str = "all"
    epoch: str = "last"
    seeds: tuple[int, ...] = ()

    def markdown(self) -> str:
        """The card as a short list in Markdown."""
        facts = (
            f"- **{self.query_domain} → {self.gallery_domain}**: {self.n_query} queries, {self.n_lone} lone, "
            f"gallery of {self.n_gallery}, {self.n_classes} common classes; label spaces {self.label_spaces}"
        )
        return "\n".join([facts, *self.rules()])

    def rules(self) -> list[str]:
        """The part of the card that does not speak of the pictures, as lines of a list in Markdown."""
        split = "training set = query set = gallery set, transductive" if self.split == "all" else ""
        seeds = ", ".join(map(str, self.seeds)) or "none"
        return [
            f"- **P@k** (k = {', '.join(map(str, self.ks))}): {self.denominator}, "
            "with n_q relevant items in the gallery",
            *([f"- **plain P@k**: {self.plain_denominator}"] if self.plain_denominator else []),
            f"- **mAP@All**: {self.mean_ap}",
            f"- **lone queries** (n_q = 0): {self.lone_rule}; **ties**: {self.ties}",
            f"- **similarity**: {self.similarity}; **self-match**: {self.self_match}; "
            f"**engine**: {self.engine}, exact",
            f"- **split**: {self.split}{f' ({split})' if split else ''}; **epoch**: {self.epoch}; "
            f"**seeds**: {seeds}",
        ]
