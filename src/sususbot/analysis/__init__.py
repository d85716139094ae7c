"""What the archive holds: one pass over it into one value, which terminal, page and JSON show. Changes nothing."""
