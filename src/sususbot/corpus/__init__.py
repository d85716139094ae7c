"""Archive to training samples: clean, consent, segment, samples. Reads the archive, writes only below `corpora/`."""
