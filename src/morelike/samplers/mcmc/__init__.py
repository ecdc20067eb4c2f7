"""Markov chain Monte Carlo: kernels over a batch of chains, warm-up, diagnostics."""
