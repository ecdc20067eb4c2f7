"""Draws of Markov chains as a page: the verdict, the figures, and the plots that show why."""
