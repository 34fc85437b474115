"""What a run achieved, as numbers, pictures and examples."""
