"""The three animals. Lengths are in half head widths; x runs to the right, y down, angles are clockwise."""

from __future__ import annotations

import numpy as np

from morelike.data.menagerie.scene import SIDES, Scene
from morelike.data.menagerie.shapes import Almond, Arc, Bar, Ellipse
from morelike.data.menagerie.world import Factors


def cat(f: Factors, size: int, channels: int) -> Scene:
    """Pointed ears, slanted eyes with slit pupils, a small nose, long whiskers."""
    scene = Scene(f, size, channels, (0.64, 0.12))
    coat, canvas, head = scene.coat, scene.canvas, scene.head
    scene.setting()
    scene.furry(scene.body.at(0.78, 1.12, -0.5), Arc(0.34, 0.11), coat.fur)  # tail
    scene.shoulders(0.80, 0.85, 1.45)
    cat_ears(scene)
    for side in SIDES:
        scene.furry(head.at(side * 0.84, 0.36, side * 1.95), Almond(0.14, 0.28), coat.fur)
    scene.furry(head, Ellipse(1.0, 0.84, 0.12), coat.fur, stencil=True)
    scene.markings((0.42, -0.06))
    for side in SIDES:
        canvas.glow(head.at(side * 0.62, 0.34), Ellipse(0.3, 0.22), coat.pink, 0.5)
        canvas.paint(head.at(side * 0.17, 0.44), Ellipse(0.24, 0.19), coat.pale)
    canvas.paint(head.at(0.0, 0.62), Ellipse(0.11, 0.15), coat.pink, opacity=f.mouth, rim=-0.3)
    scene.smile(0.42, 0.14)
    canvas.paint(head.at(0.0, 0.30), Ellipse(0.12, 0.085, -0.4), coat.nose)
    scene.eyes((0.42, -0.06), Almond(0.20, 0.29), 0.30, (0.085, 0.17))
    scene.whiskers((0.40, 0.42), 0.95)
    return scene


def cat_ears(scene: Scene) -> None:
    """Pointed triangles with a lighter inside; a drooping one leans outwards."""
    f, coat = scene.f, scene.coat
    for number, side in enumerate(SIDES, 1):
        aside = 0.55 * (f.ear_droop == number)
        ear = scene.head.at(side * 0.60, -0.38, side * (0.32 + f.ear_tilt + aside)).at(0.0, -0.1)
        tall = 0.85 * f.ear_length
        scene.furry(ear, Almond(0.42, tall), coat.patched(f, side))
        scene.canvas.paint(ear, Almond(0.25, tall * 0.72), coat.pink)


def dog(f: Factors, size: int, channels: int) -> Scene:
    """Hanging ears, a long muzzle with a big nose, and when the mouth is open a tongue."""
    scene = Scene(f, size, channels, (0.61, -0.02))
    coat, canvas, head = scene.coat, scene.canvas, scene.head
    scene.setting()
    scene.shoulders(0.95, 0.85, 1.50)
    pricked_ears(scene)
    scene.furry(head, Ellipse(0.90, 0.92, -0.10), coat.fur, stencil=True)
    scene.markings((0.36, -0.16))
    canvas.paint(head.at(0.0, 0.82), Ellipse(0.19, 0.30), coat.pink, opacity=f.mouth, rim=-0.3)
    canvas.paint(head.at(0.0, 0.45), Ellipse(0.50, 0.40, 0.15), coat.pale, shade=scene.round)
    scene.smile(0.55, 0.19)
    canvas.paint(head.at(0.0, 0.24), Ellipse(0.22, 0.16, -0.3), coat.ink)
    canvas.paint(head.at(-0.06, 0.17), Ellipse(0.07, 0.035), coat.white, opacity=0.7)
    scene.eyes((0.36, -0.18), Ellipse(0.18, 0.20), 0.0, (0.115, 0.14))
    scene.whiskers((0.40, 0.50), 0.4, 0.6)
    hanging_ears(scene)
    return scene


def pricked_ears(scene: Scene) -> None:
    """The one ear of a dog that stands, where it has one."""
    f, coat = scene.f, scene.coat
    for number, side in enumerate(SIDES, 1):
        ear = scene.head.at(side * 0.50, -0.50, side * (0.50 + f.ear_tilt))
        tall, pricked = 0.60 * f.ear_length, f.ear_droop == number
        scene.furry(ear.at(0.0, -tall * 0.75), Ellipse(0.29, tall, 0.3), coat.marking, pricked)
        inner = ear.at(0.0, -tall * 0.70)
        scene.canvas.paint(inner, Ellipse(0.15, tall * 0.75, 0.3), coat.pink, opacity=pricked)


def hanging_ears(scene: Scene) -> None:
    """Long ears beside the cheeks."""
    f, coat = scene.f, scene.coat
    for number, side in enumerate(SIDES, 1):
        ear = scene.head.at(side * 0.77, -0.60, -side * (0.25 + f.ear_tilt))
        tall = 0.58 * f.ear_length
        scene.furry(ear.at(0.0, tall * 0.85), Ellipse(0.28, tall, 0.3), coat.marking, f.ear_droop != number)


def rabbit(f: Factors, size: int, channels: int) -> Scene:
    """Long upright ears, one of them sometimes folded, round cheeks, two teeth."""
    scene = Scene(f, size, channels, (0.52, 0.30))
    coat, canvas, head = scene.coat, scene.canvas, scene.head
    scene.setting()
    scene.shoulders(0.85, 0.85, 1.50)
    rabbit_ears(scene)
    scene.furry(head, Ellipse(0.96, 0.84, 0.22), coat.fur, stencil=True)
    scene.markings((0.44, -0.10))
    tall = 0.06 + 0.07 * f.mouth
    for side in SIDES:
        canvas.glow(head.at(side * 0.62, 0.30), Ellipse(0.34, 0.28), coat.pink, 0.75)
        canvas.paint(head.at(side * 0.075, 0.60 + tall, np.pi / 2), Bar(tall, 0.075), coat.white, rim=-0.2)
    for side in SIDES:
        canvas.paint(head.at(side * 0.18, 0.46), Ellipse(0.25, 0.20), coat.pale)
    scene.smile(0.42, 0.12)
    canvas.paint(head.at(0.0, 0.30), Ellipse(0.12, 0.09, -0.4), coat.nose)
    canvas.paint(head.at(0.0, 0.44, np.pi / 2), Bar(0.07, 0.025), coat.ink)
    scene.eyes((0.44, -0.10), Ellipse(0.17, 0.23), 0.0, (0.115, 0.165))
    scene.whiskers((0.38, 0.44), 0.6)
    return scene


def rabbit_ears(scene: Scene) -> None:
    """Long upright ears, one of them folded where it droops."""
    f, coat = scene.f, scene.coat
    for number, side in enumerate(SIDES, 1):
        folded = (f.ear_droop == number) * 1.0
        ear = scene.head.at(side * 0.36, -0.55, side * (0.12 + f.ear_tilt))
        tall = 0.72 * f.ear_length * (1.0 - 0.45 * folded)
        fur = coat.patched(f, side)
        scene.furry(ear.at(0.0, -0.85 * tall), Ellipse(0.25, tall, -0.15), fur)
        scene.canvas.paint(ear.at(0.0, -0.8 * tall), Ellipse(0.13, tall * 0.8, -0.15), coat.pink)
        tip = ear.at(side * 0.12, -1.7 * tall, side * 2.3).at(0.0, -0.38 * f.ear_length)
        scene.furry(tip, Ellipse(0.24, 0.48 * f.ear_length), fur * np.float32(0.9), folded)
