"""The embedded drawings with the embedded CLIP: no network, minutes on a laptop. The default.

    tpsnet train line rendered runs/first --preset emoji
    tpsnet reproduce

The defaults of all configs were chosen on these images, so nothing departs from them. No paper has figures on
them. ``tpsnet reproduce`` executes the notebooks, then fills the rows of two pairs with one seed.
"""

from tpsnet.experiments import BASELINES, TRAINED, Closed, Preset, Source, Sweep, variants

PRESET = Preset(
    title="embedded drawings",
    source=Source(),
    pair=("line", "rendered"),
    directions=(("line", "shaded"), ("shaded", "line"), ("flat", "rendered"), ("rendered", "flat")),
    sweeps=(
        Sweep(
            protocols=(Closed(),),
            rows=(*TRAINED.values(), *BASELINES.values(), *variants("TPSNet, as printed")),
            seeds=(0,),
        ),
    ),
    receipt=("All settings are ours, and chosen on these images.",),
    notebooks=True,
)
