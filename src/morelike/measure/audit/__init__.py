"""What is wrong with data before anything is trained on it: copies, strangers, wrong labels, too few items."""

from morelike.measure.audit.audit import Audit

__all__ = ["Audit"]
