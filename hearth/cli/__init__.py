"""What a run prints: start-up checks, summary, login errors."""
