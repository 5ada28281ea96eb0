"""A letter as a mail. Whatever its texts contain, headers are one line, addresses are one address, names are no paths."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from connectors.roles import Letter
from connectors.smtp.settings import SmtpSettings
from core.emails import fold_email
from core.errors import Held
from core.letters import Attachment
from core.visible import in_one_line, visible

LONGEST: Final = 200
"""Characters of a subject, a name: a line of a mail has 998 bytes."""
_NO_PATH: Final = re.compile(r'[/\\:*?"<>|]')
_MEDIA: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}", re.IGNORECASE)


def address(text: str, settings: SmtpSettings) -> ValidatedEmail:
    """Exactly one address, that is not our own. Raises `Held`, which names it."""
    shown = in_one_line(" ".join(text.split()))[:200]
    try:
        valid = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        valid = None
    if valid is None or "=?" in text:
        raise Held(
            f"{settings.name}: {shown!r} is no e-mail address. What to do: correct the address where it comes from, then retry.",
            field="address",
        )
    if fold_email(valid.normalized) == fold_email(settings.sender):
        raise Held(
            f"{settings.name}: {shown} is the address that Orderwire sends from: mail to ourselves could go in circles. "
            "What to do: correct the address where it comes from, then retry.",
            field="address",
        )
    return valid


def one_line(text: str) -> str:
    """As a header may have it: no line end in it, and none that is only spelled. Python reads `=?utf-8?q?=0D=0ABcc:?=` in a text
    that it is given as what it spells, and writes that as two headers (seen with 3.11).
    """
    return in_one_line(" ".join(text.split())).replace("=?", "= ?")[:LONGEST]


def heads(mail: EmailMessage, settings: SmtpSettings, subject: str, id: str, now: datetime) -> None:
    """The headers of whatever we send. `Auto-Submitted` keeps other robots from answering ours (RFC 3834)."""
    mail["From"] = Address(one_line(settings.sender_name), addr_spec=settings.sender)
    mail["Subject"] = one_line(subject)
    mail["Date"] = format_datetime(now)
    domain = settings.sender.rpartition("@")[2].encode("idna").decode("ascii")
    mail["Message-ID"] = f"<{hashlib.sha256(id.encode()).hexdigest()[:32]}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"


def mail_of(letter: Letter, settings: SmtpSettings, to: Sequence[ValidatedEmail], now: datetime) -> EmailMessage:
    """The mail (pure)."""
    mail = EmailMessage()
    heads(mail, settings, letter.subject, letter.id, now)
    name = one_line(letter.name) if len(to) == 1 else ""
    mail["To"] = [Address(name, one.local_part, one.ascii_domain) for one in to]
    if settings.reply_to is not None:
        mail["Reply-To"] = Address("", addr_spec=settings.reply_to)
    mail.set_content(visible(letter.text), cte="quoted-printable")
    for number, attachment in enumerate(letter.attachments, start=1):
        _attach(mail, attachment, number)
    if letter.language:
        mail["Content-Language"] = one_line(letter.language)
    return mail


def _attach(mail: EmailMessage, attachment: Attachment, number: int) -> None:
    media = attachment.media_type if _MEDIA.fullmatch(attachment.media_type) else "application/octet-stream"
    main, _, sub = media.partition("/")
    if main in {"message", "multipart"}:  # a mail within the mail would be taken apart by readers
        main, sub = "application", "octet-stream"
    name = _NO_PATH.sub("-", one_line(attachment.name)).strip(" .") or f"attachment-{number}"
    mail.add_attachment(attachment.body, maintype=main, subtype=sub, filename=name[:120])
