"""The stand-in mail server: what is sent to it is on its page, harmless, and its attachments open."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import httpx
import pytest

from sandbox.mail import MailApp, mail_app
from sandbox.serve import running


@pytest.fixture
def mail() -> Iterator[tuple[MailApp, httpx.Client]]:
    app = mail_app()
    with running(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield app, client


def send(app: MailApp, to: str = "ada@office.example", subject: str = "Low stock") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@laden.example", to, subject
    message.set_content("2 left <script>alert(1)</script>\nÄrger")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Rechnung ä.pdf")
    message.add_attachment(b"<script>", maintype="text", subtype="html", filename="x.html")
    with smtplib.SMTP("127.0.0.1", app.smtp_port, timeout=10) as session:
        session.send_message(message)


def test_a_mail_is_listed_and_read(mail: tuple[MailApp, httpx.Client]) -> None:
    app, client = mail
    assert "No mail yet." in client.get("/").text
    send(app, subject="<b>Low</b>")
    listed = client.get("/").text
    assert "&lt;b&gt;Low&lt;/b&gt;" in listed
    assert f"127.0.0.1:{app.smtp_port}" in listed
    shown = client.get("/mail/1").text
    assert "2 left &lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "ada@office.example" in shown
    assert "Subject: <b>Low</b>" in client.get("/mail/1/raw").text
    [told] = client.get("/sandbox/mails").json()["mails"]
    assert (told["to"], told["attachments"]) == ("ada@office.example", ["Rechnung ä.pdf", "x.html"])


def test_a_pdf_opens_and_a_page_does_not(mail: tuple[MailApp, httpx.Client]) -> None:
    app, client = mail
    send(app)
    pdf, page = client.get("/mail/1/1"), client.get("/mail/1/2")
    assert (pdf.content, pdf.headers["content-type"]) == (b"%PDF-1.7", "application/pdf")
    assert pdf.headers["content-disposition"] == "inline; filename*=utf-8''Rechnung%20%C3%A4.pdf"
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in page.headers["content-security-policy"]
    assert [client.get(path).status_code for path in ("/mail/1/3", "/mail/1/0", "/mail/2", "/mail/2/1")] == [404] * 4


def test_a_mail_that_is_written_wrongly_is_shown_all_the_same(mail: tuple[MailApp, httpx.Client]) -> None:
    """Whatever came in: the page that lists it does not break, and is not the slower for it."""
    app, client = mail
    raw = (
        b"Subject: \xffLow\r\nFrom: \xe4@shop.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nTwo \xe4 left\r\n"
        b'--x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename="\xe4.csv"\r\n\r\n1\r\n'
        b"--x\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\nSubject: within\r\n\r\nx\r\n--x--\r\n"
    )
    with smtplib.SMTP("127.0.0.1", app.smtp_port, timeout=10) as session:
        session.sendmail("shop@laden.example", ["ada@office.example"], raw)
    paths = ("/", "/mail/1", "/mail/1/raw", "/mail/1/1", "/mail/1/2", "/sandbox/mails")
    assert [client.get(path).status_code for path in paths] == [200] * 6
    assert "Two" in client.get("/mail/1").text
    assert client.get("/mail/1/1").content.strip() == b"1"
    assert b"Subject: within" in client.get("/mail/1/2").content


def test_it_is_emptied_from_its_own_page_only(mail: tuple[MailApp, httpx.Client]) -> None:
    app, client = mail
    send(app)
    client.post("/empty", headers={"sec-fetch-site": "cross-site"})
    assert len(app.box.mails) == 1
    client.post("/empty")
    assert app.box.mails == []


@pytest.mark.parametrize(
    ("to", "code"), [("later@x.example", 450), ("unknown@x.example", 550), ("full@x.example", 552)]
)
def test_some_addresses_are_refused(mail: tuple[MailApp, httpx.Client], to: str, code: int) -> None:
    app, _ = mail
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(app, to)
    assert refused.value.recipients[to][0] == code
    assert app.box.mails == []
