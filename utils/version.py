"""The version of this project, as CHANGELOG.md lists them."""

VERSION = "1.2.0"
