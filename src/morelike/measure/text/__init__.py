"""What is measured of texts on top of what is measured of everything: bits per byte, wording, what stands elsewhere."""
