"""Builders and small servers that several test folders share."""
