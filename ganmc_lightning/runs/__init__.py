"""What a run leaves on disk: whole files or none."""
