"""The platform: API, git data, comments, workflow log. It knows no skill."""
