"""Files that are there whole or not at all, and readers that believe nothing they are given."""
