"""``python -m tpsnet.presets``: the table of ``docs/presets.md``."""

import pandas as pd

from tpsnet.experiments import Preset
from tpsnet.presets import DEFAULT, NAMES, load_preset
from tpsnet.report.parts import table


def overview() -> str:
    """All presets in Markdown, the default one first; "figures" counts the published ones that are known."""
    names = sorted(NAMES, key=lambda name: (name != DEFAULT, name))
    return table(pd.DataFrame({name: _line(load_preset(name)) for name in names}).T, "preset", numbers=False)


def _line(preset: Preset) -> dict[str, str]:
    weights = dict.fromkeys(
        " ".join(filter(None, (source.model, source.pretrained)))
        for source in map(preset.backbone_of, preset.every_sweep)
    )
    trained = [row.name for sweep in preset.every_sweep for row in sweep.rows if row.trains]
    seeds = dict.fromkeys(", ".join(map(str, sweep.seeds)) for sweep in preset.every_sweep)
    return {
        "data set": preset.title,
        "directions": str(len(preset.directions)),
        "protocols": ", ".join(preset.protocols),
        "weights": "; ".join(weights),
        "trained rows": "; ".join(dict.fromkeys(trained)),
        "seeds": "; ".join(seeds),
        "figures": str(int(preset.figures()["value"].notna().sum())),
    }


if __name__ == "__main__":
    print(overview())
