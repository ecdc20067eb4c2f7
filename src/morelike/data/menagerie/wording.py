"""Factors to captions, in English and Chinese."""

from __future__ import annotations

import numpy as np

from morelike.core.errors import unknown
from morelike.data.menagerie.world import (
    COLLARS,
    EYE_COLOURS,
    FURS,
    HUES,
    LUMA,
    PATTERNS,
    SPECIES,
    Factors,
    splitmix64,
)

ENGLISH = {
    "blaze": "a pale blaze", "stripes": "stripes", "patch": "a patch over one eye",
    "amber": "amber eyes", "green": "green eyes", "blue": "blue eyes",
    "sleepy": "sleepy eyes", "closed": "closed, smiling eyes", "whiskers": "whiskers", "bare": "no whiskers",
    "red collar": "a red collar", "blue collar": "a blue collar", "yellow collar": "a yellow collar",
    "cat ear": "one ear turned aside", "dog ear": "one ear pricked up", "rabbit ear": "one ear folded",
    "long ears": "rather long ears", "short ears": "rather short ears",
    "cat mouth": "its tongue out", "dog mouth": "its tongue out", "rabbit mouth": "its long teeth showing",
    "tilt left": "its head tilted to the left", "tilt right": "its head tilted to the right",
    "large": "a large face", "small": "a small face",
}  # fmt: skip
CHINESE = {
    "blaze": "额头有一道浅色的纹", "stripes": "带着条纹", "patch": "一只眼睛上有块斑",
    "amber": "长着琥珀色的眼睛", "green": "长着绿色的眼睛", "blue": "长着蓝色的眼睛",
    "sleepy": "睡眼惺忪", "closed": "笑得闭上了眼睛", "whiskers": "长着胡须", "bare": "没有胡须",
    "red collar": "戴着红色的项圈", "blue collar": "戴着蓝色的项圈", "yellow collar": "戴着黄色的项圈",
    "cat ear": "一只耳朵歪向一边", "dog ear": "竖起一只耳朵", "rabbit ear": "一只耳朵折了下来",
    "long ears": "耳朵偏长", "short ears": "耳朵偏短",
    "cat mouth": "吐着舌头", "dog mouth": "吐着舌头", "rabbit mouth": "露出长长的门牙",
    "tilt left": "头向左歪", "tilt right": "头向右歪", "large": "脸很大", "small": "脸很小",
}  # fmt: skip
NAMES = {
    "en": {name: name for name in (*SPECIES, *FURS, *HUES)} | {"dark": "dark ", "pale": "pale ", "mid": ""},
    "zh": {
        "cat": "猫", "dog": "狗", "rabbit": "兔子", "dark": "深", "pale": "浅", "mid": "",
        "white": "白色", "cream": "奶油色", "golden": "金色", "ginger": "姜黄色",
        "brown": "棕色", "chocolate": "巧克力色", "grey": "灰色", "black": "黑色",
        "blue": "蓝色", "green": "绿色", "pink": "粉色", "yellow": "黄色", "purple": "紫色", "teal": "青色",
    },
}  # fmt: skip
FACTS = {"en": ENGLISH, "zh": CHINESE}
SENTENCES = {
    "en": (
        "A {fur} {species} with {one} and {two}, against a {light}{hue} background.",
        "This {fur} {species} has {one} and {two}.",
        "Against a {light}{hue} background: a {fur} {species} with {one} and {two}.",
        "Portrait of a {fur} {species} with {one}, {two} and a {light}{hue} background.",
    ),
    "zh": (
        "一只{fur}的{species}，{one}，{two}，背景是{light}{hue}。",
        "这只{fur}的{species}{one}，{two}。",
        "{light}{hue}的背景前有一只{fur}的{species}，{one}，{two}。",
        "一张{species}的画像：{fur}的毛，{one}，{two}，{light}{hue}的背景。",
    ),
}


def visible(f: Factors) -> dict[str, np.ndarray]:
    """Return for each fact that a caption can tell (a key of FACTS) on which of the N animals it is seen."""
    seen = {name: f.pattern == k for k, name in enumerate(PATTERNS) if k}
    seen |= {name: (f.eye_colour == k) & (f.eye_kind == 0) for k, name in enumerate(EYE_COLOURS)}
    seen |= {f"{name} collar": f.collar == k for k, name in enumerate(COLLARS) if k}
    for k, name in enumerate(SPECIES):
        seen[f"{name} ear"] = (f.species == k) & (f.ear_droop > 0)
        seen[f"{name} mouth"] = (f.species == k) & (f.mouth > 0)
    return seen | {
        "sleepy": f.eye_kind == 1, "closed": f.eye_kind == 2, "whiskers": f.whiskers > 0, "bare": f.whiskers == 0,
        "long ears": f.ear_length > 1.12, "short ears": f.ear_length < 0.88,
        "tilt left": f.head_tilt < -0.15, "tilt right": f.head_tilt > 0.15,
        "large": f.scale > 1.08, "small": f.scale < 0.92,
    }  # fmt: skip


def captions(factors: Factors, language: str = "en") -> list[str]:
    """Return one sentence per animal, "en" or "zh": its species, its fur and two more facts that can be seen on it.

    Which facts and which wording follows from the factors, so captions repeat. Raises OptionError for another language.
    """
    if language not in SENTENCES:
        raise unknown("language", language, SENTENCES)
    f, names, facts, sentences = factors, NAMES[language], FACTS[language], SENTENCES[language]
    x, y = (np.ascontiguousarray(place, np.float64).view(np.uint64) for place in (f.x, f.y))
    chance = splitmix64(x ^ splitmix64(y))
    seen = visible(f)
    order = np.array(list(seen))
    marks = np.stack(list(seen.values()), 1)
    light = np.select([f.background_rgb @ LUMA < 0.38, f.background_rgb @ LUMA > 0.72], ["dark", "pale"], "mid")
    furs, hues = list(FURS), list(HUES)
    told = []
    for i, number in enumerate(chance.tolist()):
        known = order[marks[i]]  # at least two: the eyes, and whether there are whiskers
        first, step = number % len(known), 1 + (number >> 16) % (len(known) - 1)
        told.append(sentences[(number >> 32) % len(sentences)].format(
            species=names[SPECIES[f.species[i]]], fur=names[furs[f.fur[i]]],
            one=facts[known[first]], two=facts[known[(first + step) % len(known)]],
            light=names[str(light[i])], hue=names[hues[f.background_hue[i]]],
        ))  # fmt: skip
    return told
