"""What people configure: `.skillgrad.yml`, flags and settings, read at one border."""
