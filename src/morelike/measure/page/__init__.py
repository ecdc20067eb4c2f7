"""The report as a page, part by part; `morelike.measure.report` puts the parts together."""
