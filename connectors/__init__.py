"""One folder per outside system. A connector knows its vendor's protocol and the common language, nothing else of ours."""
