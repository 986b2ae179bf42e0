"""What a run of the twin leaves behind: a report as text, as JSON and as a page."""
