"""The Discord surface against the stand-in."""
