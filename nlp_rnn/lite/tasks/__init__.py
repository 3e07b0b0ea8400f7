"""What each task answers."""
