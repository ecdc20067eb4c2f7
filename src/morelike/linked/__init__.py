"""Two tables of which one refers to the other by its key: learnt, made and measured together."""
