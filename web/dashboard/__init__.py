"""The screens. One module a screen, one router each; what they show is read from the ledger, what they do goes through
`pipelines.desk`.
"""
