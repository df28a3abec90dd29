"""What changed from one model or bundle to another."""
