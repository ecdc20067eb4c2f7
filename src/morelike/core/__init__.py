"""The protocols on which everything else stands: distributions, specs, families, codecs, errors."""
