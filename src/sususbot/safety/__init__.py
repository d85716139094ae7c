"""What may go out: text that can ping nobody and holds nothing that must not be said."""
