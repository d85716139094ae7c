"""One file per question about speed or size. Each measures its bare minimum beside it, in the same run."""
