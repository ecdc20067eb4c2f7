"""Peer: the DCGAN that TensorFlow's tutorial describes, in Keras (tensorflow.org/tutorials/generative/dcgan).

    OMP_NUM_THREADS=2 python bench/peers/keras_dcgan.py --data fashion_train.npy --minutes 10 --out keras.npy --clean

28x28, 100 noise values; a dense layer to 7x7x256 and three 5x5 transposed convolutions (128, 64, 1); a critic of two
5x5 convolutions with dropout 0.3; Adam 1e-4 for both, batch 256, binary cross-entropy, one compiled `tf.function`.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import contest
import keras
import numpy as np
import tensorflow as tf
from keras import layers

NOISE, BATCH = 100, 256


def generator() -> keras.Model:
    """(B, 100) -> (B, 28, 28, 1) in [-1, 1]."""

    def up(width: int, stride: int, **more: str) -> layers.Layer:
        return layers.Conv2DTranspose(width, 5, strides=stride, padding="same", use_bias=False, **more)

    stack: list[layers.Layer] = [keras.Input((NOISE,)), layers.Dense(7 * 7 * 256, use_bias=False)]
    stack += [layers.BatchNormalization(), layers.LeakyReLU(), layers.Reshape((7, 7, 256))]
    for width, stride in ((128, 1), (64, 2)):
        stack += [up(width, stride), layers.BatchNormalization(), layers.LeakyReLU()]
    return keras.Sequential([*stack, up(1, 2, activation="tanh")])


def critic() -> keras.Model:
    """(B, 28, 28, 1) -> logit (B, 1)."""
    stack: list[layers.Layer] = [keras.Input((28, 28, 1))]
    for width in (64, 128):
        stack += [layers.Conv2D(width, 5, strides=2, padding="same"), layers.LeakyReLU(), layers.Dropout(0.3)]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(1)])


def main() -> None:
    options = contest.parser(__doc__ or "").parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(contest.THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(contest.THREADS)
    keras.utils.set_random_seed(options.seed)
    images = np.load(options.data)[..., None].astype(np.float32) / 127.5 - 1
    batches = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).batch(BATCH, drop_remainder=True)
    G, D = generator(), critic()
    adam_G, adam_D = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(x: tf.Tensor) -> None:
        z = tf.random.normal((BATCH, NOISE))
        with tf.GradientTape() as tape_G, tf.GradientTape() as tape_D:
            fake = G(z, training=True)
            real_logit, fake_logit = D(x, training=True), D(fake, training=True)
            loss_G = entropy(tf.ones_like(fake_logit), fake_logit)
            loss_D = entropy(tf.ones_like(real_logit), real_logit) + entropy(tf.zeros_like(fake_logit), fake_logit)
        G_weights, D_weights = G.trainable_variables, D.trainable_variables
        adam_G.apply_gradients(zip(tape_G.gradient(loss_G, G_weights), G_weights, strict=True))
        adam_D.apply_gradients(zip(tape_D.gradient(loss_D, D_weights), D_weights, strict=True))

    clock = contest.Clock(options)
    spent = False
    while not spent:
        for x in batches:
            step(x)
            spent = clock.tick()
            if spent:
                break
    result = clock.result("keras_dcgan", BATCH)

    noise = tf.split(tf.random.normal((options.samples, NOISE)), max(1, options.samples // 500))
    drawn = np.concatenate([G(z, training=False).numpy()[..., 0] for z in noise])
    contest.finish(((drawn + 1) * 127.5).round().clip(0, 255).astype(np.uint8), options.out, result)


if __name__ == "__main__":
    main()
