"""Samples to adapter: who permitted it, and whose words an adapter was trained on."""
