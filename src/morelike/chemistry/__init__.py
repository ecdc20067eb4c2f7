"""Molecules in a line of text: their grammar, their valences, and what may follow."""
