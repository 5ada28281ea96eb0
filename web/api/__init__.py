"""The HTTP API, `/api/v1`: what the dashboard does, for programs with a token (docs/api.md).

One module a resource, each with its models and its router. Who may ask is decided in `door`, what a refusal looks like in
`refusal`, and everything that is done is done by the services that the pages use, too.
"""
