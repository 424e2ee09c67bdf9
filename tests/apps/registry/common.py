"""What all forms of the package have in common."""

VERSIONS = {"1.0.0": "hello", "2.0.0": "good day"}

# The type of an answer that counts as a package that was fetched.
PACKAGE = "application/octet-stream"
