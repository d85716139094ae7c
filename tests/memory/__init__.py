"""Memory: embedding, search, recent turns, and the context made of them."""
