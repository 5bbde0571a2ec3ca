"""The parameter: a skill package, and what may be done to it.

`skill.py` is the package and its three layers, `folder.py` its files on disk, `membership.py` and `repository.py`
what belongs to it, `frontmatter.py` layer H, `markdown.py` headings of layer B, `pointers.py` the ways to layer Q.
`edit.py` and `splice.py` change it. `lint.py` checks it by the `rules.py`: `lint_metadata.py` its layer H, with the
fields that `hosts.py` define, `lint_files.py` its files, with what lies around them (`surroundings.py`).
`review_flags.py` names what a reviewer must see.
"""
