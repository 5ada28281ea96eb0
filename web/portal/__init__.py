"""The card "your sales rep" for shops and portals: signed JSON, an HTML fragment, a web component (docs/portal.md).

Nobody logs in here. A shop signs a short-lived token for the customer in front of it (web.portal.tokens, ADR-0012); whoever
brings one sees that customer's card and no other.
"""
