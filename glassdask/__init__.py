"""glassdask."""
