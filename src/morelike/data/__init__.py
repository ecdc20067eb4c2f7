"""Collect and prepare: sources of items, the decoded cache, the split, augmentation and batches."""
