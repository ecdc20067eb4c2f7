"""From a source to its audit: all of it in `full.audit`, and in `quick` what `fit` has the time for."""
