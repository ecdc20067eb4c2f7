"""The menagerie: an unlimited built-in world of cats, dogs and rabbits whose true factors are known.

    from morelike.data import menagerie
    images, true = menagerie.pictures(1000, size=28, seed=0)    # uint8 (1000, 28, 28), Factors
    texts = menagerie.captions(true, "zh")                      # 1000 sentences

`factors` chooses the animals, `draw` paints them, `captions` tells of them; animal i of a seed is always the same.
"""

from morelike.data.menagerie.drawing import draw, pictures
from morelike.data.menagerie.wording import captions
from morelike.data.menagerie.world import SPECIES, Factors, factors

__all__ = ["SPECIES", "Factors", "captions", "draw", "factors", "pictures"]
