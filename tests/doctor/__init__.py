"""The doctor: every check where all is well, and where it is not."""
