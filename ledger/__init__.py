"""The durable memory. The database is the truth; everything else may vanish at any moment."""

from __future__ import annotations

import os
import socket
import uuid

from sqlalchemy.engine import URL

from core.clock import Clock
from ledger.alerts import Alerts
from ledger.amendments import Amendments
from ledger.arrivals import Arrivals
from ledger.audit import Audit
from ledger.budget import Budgets
from ledger.care import Cares
from ledger.clocks import DatabaseClock
from ledger.crmnews import CrmNews
from ledger.database import Database
from ledger.erppromises import ErpPromises
from ledger.feeds import Feeds
from ledger.figures import Figures
from ledger.flows import Flows
from ledger.goods import Goods
from ledger.inbox import Inbox
from ledger.invoices import Invoices
from ledger.jobs import Jobs
from ledger.links import Links
from ledger.messages import Messages
from ledger.orderstates import OrderStates
from ledger.papers import Papers
from ledger.parties import Parties
from ledger.people import People
from ledger.processes import Processes
from ledger.publications import Publications
from ledger.pulse import Pulse
from ledger.reps import RepBook
from ledger.requests import Requests
from ledger.reviews import Reviews
from ledger.runs import Runs
from ledger.schedules import Schedules
from ledger.sessions import Sessions
from ledger.state import Cursors, Lanes, States
from ledger.stock import Stock
from ledger.stockorders import StockOrders
from ledger.watches import Watches

__all__ = ["Ledger"]


class Ledger:
    """All tables behind their services. One per process; safe to share between threads."""

    def __init__(self, db: Database, *, lease: float = 60.0) -> None:
        self.db = db
        self.clock = DatabaseClock(db)
        self.process = f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self.inbox = Inbox(db)
        self.jobs = Jobs(db, lease=lease)
        self.links = Links(db)
        self.amendments = Amendments(db)
        self.orders = OrderStates(db)
        self.watches = Watches(db)
        self.erp_promises = ErpPromises(db)
        self.messages = Messages(db)
        self.papers = Papers(db)
        self.invoices = Invoices(db)
        self.crm_news = CrmNews(db)
        self.goods = Goods(db)
        self.parties = Parties(db)
        self.states = States(db)
        self.budgets = Budgets(db)
        self.flows = Flows(db)
        self.runs = Runs(db)
        self.reviews = Reviews(db)
        self.alerts = Alerts(db)
        self.audit = Audit(db)
        self.people = People(db, self.audit)
        self.care = Cares(db, self.audit)
        self.sessions = Sessions(db, self.audit)
        self.figures = Figures(db)
        self.pulse = Pulse(db)
        self.arrivals = Arrivals(db)
        self.cursors = Cursors(db)
        self.schedules = Schedules(db)
        self.processes = Processes(db)
        self.reps = RepBook(db)
        self.publications = Publications(db)
        self.requests = Requests(db)
        self.feeds = Feeds(db, self.audit)
        self.stock = Stock(db, self.audit)
        self.stock_orders = StockOrders(db)
        self.lanes = Lanes(db, self.process, lease=lease)

    @classmethod
    def open(cls, url: str | URL, *, lease: float = 60.0, pool_size: int = 12, clock: Clock | None = None) -> Ledger:
        """Connect (lazily); the schema must be there (`ledger.migrate.upgrade`)."""
        return cls(Database(url, pool_size=pool_size, clock=clock), lease=lease)

    def close(self) -> None:
        """Give back every connection."""
        self.db.close()
