"""The stand-in mail server: it takes every mail for anybody, delivers none, and shows them on a page."""

from sandbox.mail.app import MailApp, mail_app
from sandbox.mail.box import Mail, Postbox

__all__ = ["Mail", "MailApp", "Postbox", "mail_app"]
