"""Coverage-guided fuzzing with atheris; see ``nox -s fuzz``. Not collected by pytest."""
