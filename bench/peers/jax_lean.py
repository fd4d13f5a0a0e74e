"""The paper's model in JAX: one jitted step, the recurrence a scan unrolled four times, Adam written out.

    python jax_lean.py FOLDER THREADS        (threads are set by XLA_FLAGS and the processors allowed, see main.go)
"""
import math

import jax
import jax.numpy as jnp
import numpy as np

from common import case, timed


def log_likelihood(w, feature, x, marks):
    """Sum over events but the first of each sequence, up to the Jacobian. All (B, L)."""
    inputs = jnp.concatenate([feature[:, :-1, None], w["mark_embedding.weight"][marks[:, :-1]]], -1)
    gx = inputs @ w["rnn.weight_ih_l0"].T + w["rnn.bias_ih_l0"]
    d = w["context_init"].shape[0]

    def step(h, g):
        gh = h @ w["rnn.weight_hh_l0"].T + w["rnn.bias_hh_l0"]
        r = jax.nn.sigmoid(g[:, :d] + gh[:, :d])
        z = jax.nn.sigmoid(g[:, d : 2 * d] + gh[:, d : 2 * d])
        n = jnp.tanh(g[:, 2 * d :] + r * gh[:, 2 * d :])
        h = n + z * (h - n)
        return h, h

    h = jax.lax.scan(step, jnp.zeros((feature.shape[0], d), jnp.float32), gx.swapaxes(0, 1), unroll=4)[1].swapaxes(0, 1)
    loc, log_scale, logit = jnp.split(h @ w["linear.weight"].T + w["linear.bias"], 3, -1)
    z = (x[:, 1:, None] - loc) * jnp.exp(-log_scale)
    time = jax.nn.logsumexp(logit - log_scale - 0.5 * z * z, -1) - jax.nn.logsumexp(logit, -1) - 0.5 * math.log(2 * math.pi)
    mark = jax.nn.log_softmax(h @ w["mark_linear.weight"].T + w["mark_linear.bias"])
    return time.sum() + jnp.take_along_axis(mark, marks[:, 1:, None], -1).sum()


def main():
    c, weights, training, validation = case()
    rate, decay, b1, b2, eps = c["learning_rate"], c["weight_decay"], 0.9, 0.999, 1e-8

    def loss(w, feature, x, marks):
        return -log_likelihood(w, feature, x, marks) / (feature.shape[0] * (feature.shape[1] - 1))

    @jax.jit
    def step(state, rows):
        w, m, v, t = state
        g = jax.grad(loss)(w, *(a[rows] for a in data))
        g = jax.tree.map(lambda g, p: g + decay * p, g, w)
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
        t = t + 1
        w = jax.tree.map(lambda p, m, v: p - rate / (1 - b1**t) * m / (jnp.sqrt(v / (1 - b2**t)) + eps), w, m, v)
        return w, m, v, t

    score = jax.jit(log_likelihood)
    feature, x, log, marks = training
    data = tuple(jnp.asarray(a) for a in (feature, x, marks.astype(np.int32)))
    vf, vx, vlog, vmarks = validation
    held_out = tuple(jnp.asarray(a) for a in (vf, vx, vmarks.astype(np.int32)))
    jacobian = vlog[:, 1:].astype(np.float64).sum() + vlog[:, 1:].size * math.log(c["std_log_inter_time"])
    w = {k: jnp.asarray(v) for k, v in weights.items()}
    zeros = jax.tree.map(jnp.zeros_like, w)
    state, size = (w, zeros, zeros, jnp.float32(0)), c["batch_size"]

    def epoch(order):
        nonlocal state
        for i in range(0, len(order), size):
            state = step(state, order[i : i + size])
        return (jacobian - float(score(state[0], *held_out))) / vlog[:, 1:].size

    timed("jax", c, epoch)


main()
