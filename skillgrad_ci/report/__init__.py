"""What a run tells people: document, statistics and pages."""
