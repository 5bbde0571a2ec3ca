"""Skills made of text, for tests that care for a line or two of them."""

from collections.abc import Mapping

from skillgrad_ci.skill.skill import MAIN, Skill

FIELDS = "name: demo\ndescription: Does things when asked."


def skill_of(
    body: str = "# Demo\n\nDo it.\n", files: Mapping[str, str | bytes] | None = None, *, fields: str = FIELDS
) -> Skill:
    """A skill in the folder `demo` with this body, these frontmatter fields and these other files."""
    contents = {name: c.encode() if isinstance(c, str) else c for name, c in (files or {}).items()}
    return Skill("demo", {MAIN: f"---\n{fields}\n---\n{body}".encode(), **contents})
