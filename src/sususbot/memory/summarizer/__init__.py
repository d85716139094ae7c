"""Ways to say in short what was said: one protocol, and three that keep it."""
