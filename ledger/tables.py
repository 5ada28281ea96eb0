"""The tables. Times are microseconds since 1970 UTC (BIGINT): exact and the same on both engines (ADR-0003)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives row ids by itself only to INTEGER primary keys.
Id = BigInteger().with_variant(Integer, "sqlite")
Micros = BigInteger()

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("connection", String(32), nullable=False),
    Column("dedupe_key", String(200), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("record_id", String(200), nullable=False),
    Column("stamp", Micros),
    Column("topic", String(80), nullable=False, server_default=""),
    Column("via", String(16), nullable=False),
    Column("raw", LargeBinary),
    Column("problem", Text),
    Column("verdict", String(16), nullable=False, server_default=""),
    Column("correlation", String(40), nullable=False),
    Column("received_at", Micros, nullable=False),
    UniqueConstraint("connection", "dedupe_key"),
    Index("ix_event_record", "connection", "kind", "record_id"),
)

record = Table(
    "record",
    metadata,
    Column("connection", String(32), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("record_id", String(200), primary_key=True),
    Column("stamp", Micros),
    Column("raw", LargeBinary),
    Column("content", String(64), nullable=False, server_default=""),
    Column("fetched_at", Micros),
    Column("dirty_at", Micros),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    Column("number", String(120), nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("event_id", Id, ForeignKey("event.id")),
    Column("updated_at", Micros, nullable=False),
    Index("ix_record_number", "number"),
)

job = Table(
    "job",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("flow", String(32), nullable=False),
    Column("connection", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("record_id", String(200), nullable=False),
    Column("target", String(32), nullable=False),
    Column("queue", String(16), nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("wanted", Integer, nullable=False, server_default="1"),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("due_at", Micros, nullable=False),
    Column("token", Integer, nullable=False, server_default="0"),
    Column("worker", String(80), nullable=False, server_default=""),
    Column("lease_until", Micros),
    Column("started_at", Micros),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("alone", Boolean, nullable=False, server_default=text("false")),
    Column("waiting_for", Id),
    Column("reason", Text, nullable=False, server_default=""),
    Column("error_class", String(40), nullable=False, server_default=""),
    Column("field", String(120), nullable=False, server_default=""),
    Column("warnings", Text, nullable=False, server_default=""),
    Column("number", String(120), nullable=False, server_default=""),
    Column("amount", String(40), nullable=False, server_default=""),
    Column("currency", String(3), nullable=False, server_default=""),
    Column("correlation", String(40), nullable=False, server_default=""),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("customer", String(32), nullable=False, server_default=""),  # ledger/mark.py; never the address itself
    UniqueConstraint("flow", "connection", "kind", "record_id"),
    Index(
        "ix_job_due",
        "rank",
        "due_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_job_lease",
        "lease_until",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Index(
        "ix_job_waiting_for",
        "waiting_for",
        sqlite_where=text("waiting_for IS NOT NULL"),
        postgresql_where=text("waiting_for IS NOT NULL"),
    ),
    Index("ix_job_state", "state", "updated_at"),
    Index("ix_job_number", "number"),
    Index(
        "ix_job_customer",
        "customer",
        sqlite_where=text("customer <> ''"),
        postgresql_where=text("customer <> ''"),
    ),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("job_id", Id, ForeignKey("job.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("worker", String(80), nullable=False),
    Column("started_at", Micros, nullable=False),
    Column("ended_at", Micros, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("error_class", String(40), nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    Column("calls", Text, nullable=False, server_default=""),
    Column("correlation", String(40), nullable=False, server_default=""),
    UniqueConstraint("job_id", "token"),
)

link = Table(
    "link",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("target", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("key", String(320), nullable=False),
    Column("state", String(16), nullable=False),
    Column("remote_id", String(80), nullable=False, server_default=""),
    Column("remote_number", String(120), nullable=False, server_default=""),
    Column("refs", Text, nullable=False, server_default=""),
    Column("payload_hash", String(64), nullable=False, server_default=""),
    Column("origin", String(16), nullable=False, server_default=""),
    Column("job_id", Id),
    Column("token", Integer, nullable=False, server_default="0"),
    Column("sent_at", Micros),
    Column("hold_until", Micros),
    Column("check_at", Micros),
    Column("checks", SmallInteger, nullable=False, server_default="0"),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    UniqueConstraint("target", "kind", "key"),
    Index("ix_link_remote", "target", "kind", "remote_id"),
    Index(
        "ix_link_number",
        "remote_number",
        sqlite_where=text("remote_number <> ''"),
        postgresql_where=text("remote_number <> ''"),
    ),
    Index(
        "ix_link_check",
        "check_at",
        sqlite_where=text("check_at IS NOT NULL"),
        postgresql_where=text("check_at IS NOT NULL"),
    ),
)

party_index = Table(
    "party_index",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("connection", String(32), nullable=False),
    Column("match_kind", String(16), nullable=False),
    Column("value", String(250), nullable=False),
    Column("party_kind", String(8), nullable=False),
    Column("remote_id", String(80), nullable=False),
    Column("account_id", String(80), nullable=False, server_default=""),
    UniqueConstraint("connection", "match_kind", "value", "remote_id"),
    Index("ix_party_index_remote", "connection", "remote_id"),
    Index("ix_party_index_account", "connection", "account_id"),
)

connection_state = Table(
    "connection_state",
    metadata,
    Column("connection", String(32), primary_key=True),
    Column("blocked_until", Micros),
    Column("blocked_class", String(40), nullable=False, server_default=""),
    Column("blocked_reason", Text, nullable=False, server_default=""),
    Column("blocked_since", Micros),
    Column("paused_until", Micros),
    Column("faults", Integer, nullable=False, server_default="0"),
    Column("last_success_at", Micros),
    Column("last_fault_at", Micros),
    Column("last_delivery_at", Micros),
    Column("updated_at", Micros, nullable=False),
    Column("budget_at", Micros),
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", Micros, nullable=False),
)

schedule = Table(
    "schedule",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("next_at", Micros, nullable=False),
    Column("running_until", Micros),
    Column("last_started_at", Micros),
    Column("last_ended_at", Micros),
    Column("last_outcome", Text, nullable=False, server_default=""),
    Column("due_at", Micros),
    Column("missed", Integer, nullable=False, server_default="0"),
    Column("runs", Integer, nullable=False, server_default="0"),
    Column("paused_until", Micros),
    Column("paused_by", String(120), nullable=False, server_default=""),
    Column("paused_why", Text, nullable=False, server_default=""),
)

schedule_run = Table(
    "schedule_run",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("due_at", Micros),
    Column("started_at", Micros, nullable=False),
    Column("ended_at", Micros, nullable=False),
    Column("state", String(8), nullable=False, server_default=""),
    Column("missed", Integer, nullable=False, server_default="0"),
    Column("outcome", Text, nullable=False, server_default=""),
)

process = Table(
    "process",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("host", String(60), nullable=False, server_default=""),
    Column("pid", Integer, nullable=False, server_default="0"),
    Column("role", String(8), nullable=False, server_default=""),
    Column("version", String(40), nullable=False, server_default=""),
    Column("threads", Integer, nullable=False, server_default="0"),
    Column("broker", String(8), nullable=False, server_default=""),
    Column("lag", Integer, nullable=False, server_default="0"),
    Column("working", Text, nullable=False, server_default=""),
    Column("started_at", Micros, nullable=False),
    Column("seen_at", Micros, nullable=False),
)

lane = Table(
    "lane",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("holder", String(80), nullable=False, server_default=""),
    Column("lease_until", Micros, nullable=False),
)

alert = Table(
    "alert",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("cause", String(200), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("facts", Text, nullable=False, server_default=""),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("opened_at", Micros, nullable=False),
    Column("seen_at", Micros, nullable=False),
    Column("closed_at", Micros),
    Column("closing", Text, nullable=False, server_default=""),
    Column("told_open_at", Micros),
    Column("told_close_at", Micros),
    Index(
        "uq_alert_open",
        "cause",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index("ix_alert_opened", "opened_at"),
)

flow_state = Table(
    "flow_state",
    metadata,
    Column("flow", String(32), primary_key=True),
    Column("mode", String(16), nullable=False),
    Column("start_at", Micros),
    Column("changed_at", Micros, nullable=False),
    Column("changed_by", String(80), nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
)

run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("flow", String(32), nullable=False),
    Column("options", Text, nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("cursor", Text, nullable=False, server_default=""),
    Column("counts", Text, nullable=False, server_default=""),
    Column("summary", Text, nullable=False, server_default=""),
    Column("by", String(80), nullable=False, server_default=""),
    Column("started_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("ended_at", Micros),
    Index("ix_run_kind", "kind", "flow"),
)

run_item = Table(
    "run_item",
    metadata,
    Column("run_id", Id, ForeignKey("run.id"), primary_key=True),
    Column("key", String(320), primary_key=True),
    Column("verdict", String(16), nullable=False),
    Column("number", String(120), nullable=False, server_default=""),
    Column("amount", String(40), nullable=False, server_default=""),
    Column("currency", String(3), nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("error_class", String(40), nullable=False, server_default=""),
    Column("facts", Text, nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
    Index("ix_run_item_verdict", "run_id", "verdict"),
    Index("ix_run_item_key", "key"),
)

review = Table(
    "review",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("target", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("key", String(320), nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    Column("candidates", Text, nullable=False, server_default=""),
    Column("facts", Text, nullable=False, server_default=""),
    Column("decision", String(16), nullable=False, server_default=""),
    Column("remote_id", String(80), nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("decided_by", String(80), nullable=False, server_default=""),
    Column("decided_at", Micros),
    Column("run_id", Id, ForeignKey("run.id")),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    UniqueConstraint("target", "kind", "key"),
)

person = Table(
    "person",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", String(60), nullable=False),
    Column("folded", String(60), nullable=False),
    Column("email", String(250), nullable=False, server_default=""),
    Column("password", Text, nullable=False, server_default=""),
    Column("password_at", Micros),
    Column("role", String(16), nullable=False),
    Column("disabled_at", Micros),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    UniqueConstraint("folded"),
    Index(
        "uq_person_email", "email", unique=True, sqlite_where=text("email <> ''"), postgresql_where=text("email <> ''")
    ),
)

session = Table(
    "session",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("person_id", Id, ForeignKey("person.id"), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("seen_at", Micros, nullable=False),
    Index("ix_session_person", "person_id"),
)

one_time_link = Table(
    "one_time_link",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("purpose", String(16), nullable=False),
    Column("person_id", Id, ForeignKey("person.id")),
    Column("created_by", String(120), nullable=False, server_default=""),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Column("used_at", Micros),
    Index("ix_one_time_link_person", "person_id"),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("hash", String(64), nullable=False),
    Column("name", String(60), nullable=False),
    Column("person_id", Id, ForeignKey("person.id"), nullable=False),
    Column("scopes", String(120), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros),
    Column("used_at", Micros),
    Column("revoked_at", Micros),
    UniqueConstraint("hash"),
    Index("ix_api_token_person", "person_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("at", Micros, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(60), nullable=False),
    Column("subject", String(200), nullable=False, server_default=""),
    Column("facts", Text, nullable=False, server_default=""),
    Column("ip", String(64), nullable=False, server_default=""),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_action", "action", "id"),
    Index("ix_audit_subject", "subject", "id"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    Column("last", Id, nullable=False),
    Column("hash", String(64), nullable=False),
)

pulse = Table(
    "pulse",
    metadata,
    Column("connection", String(32), primary_key=True),
    Column("what", String(8), primary_key=True),
    Column("hour", Micros, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Index("ix_pulse_hour", "hour"),
)

arrival = Table(
    "arrival",
    metadata,
    Column("connection", String(32), primary_key=True),
    Column("hour", Micros, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)

care = Table(
    "care",
    metadata,
    Column("problem", String(16), primary_key=True),
    Column("assignee_id", Id, ForeignKey("person.id")),
    Column("snoozed_until", Micros),
    Column("snoozed_at", Micros),
    Column("snoozed_by", String(120), nullable=False, server_default=""),
    Column("snoozed_count", Integer, nullable=False, server_default="0"),
    Column("snoozed_grade", Integer, nullable=False, server_default="0"),
    Column("acknowledged_since", Micros),
    Column("acknowledged_at", Micros),
    Column("acknowledged_by", String(120), nullable=False, server_default=""),
    Column("acknowledged_why", Text, nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
)

remark = Table(
    "remark",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("problem", String(16), nullable=False),
    Column("at", Micros, nullable=False),
    Column("by", String(120), nullable=False, server_default=""),
    Column("text", Text, nullable=False, server_default=""),
    Index("ix_remark_problem", "problem", "id"),
)

spell = Table(
    "spell",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("problem", String(16), nullable=False),
    Column("flow", String(32), nullable=False, server_default=""),
    Column("target", String(32), nullable=False, server_default=""),
    Column("error_class", String(40), nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    Column("most", Integer, nullable=False, server_default="0"),
    Column("amounts", Text, nullable=False, server_default=""),
    Column("customers", Integer),
    Column("customers_of", Integer, nullable=False, server_default="0"),
    Column("jobs", Text, nullable=False, server_default=""),
    Column("opened_at", Micros, nullable=False),
    Column("seen_at", Micros, nullable=False),
    Column("ended_at", Micros),
    Column("ending", String(16), nullable=False, server_default=""),
    Column("ended_by", String(120), nullable=False, server_default=""),
    Column("ended_why", Text, nullable=False, server_default=""),
    Column("run_id", Id),
    Index(
        "uq_spell_open",
        "problem",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("ix_spell_problem", "problem", "id"),
    Index("ix_spell_ended", "ended_at"),
)

# -- sales reps ----------------------------------------------------------------------------------------------------------
# `erp`: as the ERP tells it, `own`: what people entered here, which wins field by field; both JSON. Days are ISO dates.

agency = Table(
    "agency",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("code", String(80), primary_key=True),
    Column("erp", Text, nullable=False, server_default=""),
    Column("own", Text, nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
    Column("updated_by", String(120), nullable=False, server_default=""),
)

rep = Table(
    "rep",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("agency", String(80), primary_key=True),
    Column("code", String(80), primary_key=True),
    Column("erp", Text, nullable=False, server_default=""),
    Column("own", Text, nullable=False, server_default=""),
    Column("owner", String(120), nullable=False, server_default=""),
    Column("record_id", String(200), nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
    Column("updated_by", String(120), nullable=False, server_default=""),
    Index("ix_rep_record", "source", "record_id"),
)

region = Table(
    "region",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("id", String(80), primary_key=True),
    Column("erp", Text, nullable=False, server_default=""),
    Column("own", Text, nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
    Column("updated_by", String(120), nullable=False, server_default=""),
)

rep_absence = Table(
    "rep_absence",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    Column("agency", String(80), nullable=False, server_default=""),
    Column("rep", String(80), nullable=False),
    Column("first", String(10), nullable=False),
    Column("last", String(10), nullable=False, server_default=""),
    Column("deputy", String(80), nullable=False, server_default=""),
    Column("created_at", Micros, nullable=False),
    Column("created_by", String(120), nullable=False, server_default=""),
    Index("ix_rep_absence_rep", "source", "rep"),
)

rep_assignment = Table(
    "rep_assignment",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    Column("subject", String(16), nullable=False),
    Column("subject_id", String(200), nullable=False, server_default=""),
    Column("agency", String(80), nullable=False, server_default=""),
    Column("rep", String(80), nullable=False),
    Column("role", String(40), nullable=False, server_default="primary"),
    Column("rank", Integer, nullable=False, server_default="0"),
    Column("first", String(10), nullable=False, server_default=""),
    Column("last", String(10), nullable=False, server_default=""),
    Column("origin", String(40), nullable=False, server_default="hand"),
    Column("instead_of", String(80), nullable=False, server_default=""),
    Column("created_at", Micros, nullable=False),
    Column("created_by", String(120), nullable=False, server_default=""),
    Index("ix_rep_assignment_subject", "source", "subject", "subject_id"),
    Index("ix_rep_assignment_rep", "source", "rep"),
    Index("ix_rep_assignment_origin", "origin"),
)

rep_card = Table(
    "rep_card",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("customer", String(200), primary_key=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("region", String(80), nullable=False, server_default=""),
    Column("card", Text, nullable=False, server_default=""),
    Column("resolution", Text, nullable=False, server_default=""),
    Column("digest", String(64), nullable=False, server_default=""),
    Column("rep", String(80), nullable=False, server_default=""),
    Column("agency", String(80), nullable=False, server_default=""),
    Column("seen_on", String(10), nullable=False, server_default=""),
    Column("version", Micros, nullable=False, server_default="0"),
    Column("until", String(10), nullable=False, server_default=""),
    Column("changed_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Index(
        "ix_rep_card_until",
        "source",
        "until",
        sqlite_where=text("until <> ''"),
        postgresql_where=text("until <> ''"),
    ),
    Index("ix_rep_card_rep", "source", "rep"),
)

rep_concern = Table(
    "rep_concern",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("what", String(8), primary_key=True),  # rep, region
    Column("code", String(80), primary_key=True),
    Column("agency", String(80), primary_key=True, server_default=""),
    Column("customer", String(200), primary_key=True),
    Index("ix_rep_concern_customer", "source", "customer"),
)

rep_touched = Table(
    "rep_touched",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    Column("what", String(8), nullable=False),  # rep, agency, region, customer, all
    Column("code", String(200), nullable=False, server_default=""),
    Column("version", Micros, nullable=False, server_default="0"),
    Column("at", Micros, nullable=False),
    Index("ix_rep_touched_source", "source", "id"),
)

rep_seat = Table(
    "rep_seat",
    metadata,
    Column("flow", String(32), primary_key=True),
    Column("customer", String(200), primary_key=True),
    Column("identity", String(250), nullable=False, server_default=""),
    Column("account", String(80), nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
    Index("ix_rep_seat_account", "flow", "account"),
    Index(
        "ix_rep_seat_waiting",
        "flow",
        "identity",
        sqlite_where=text("account = ''"),
        postgresql_where=text("account = ''"),
    ),
)

rep_owner = Table(
    "rep_owner",
    metadata,
    Column("target", String(32), primary_key=True),
    Column("remote_id", String(80), primary_key=True),
    Column("owner", String(120), nullable=False),
    Column("before", String(120), nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
)

order_rep = Table(
    "order_rep",
    metadata,
    Column("flow", String(32), primary_key=True),
    Column("connection", String(32), primary_key=True),
    Column("record_id", String(200), primary_key=True),
    Column("code", String(80), nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default=""),
    Column("owner", String(120), nullable=False, server_default=""),
    Column("by", String(16), nullable=False, server_default=""),  # placed_by, customer, region, team, default ...
    Column("reason", Text, nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
)

# -- files that an ERP drops ---------------------------------------------------------------------------------------------
# feed_row: what each row of a source looked like when it was last taken in, as a digest. feed_stage: what is about to be.

# Keys are compared a million times a file: by their bytes, not by a language's rules.
RowKey = String(200).with_variant(String(200, collation="C"), "postgresql")

feed_file = Table(
    "feed_file",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("connection", String(32), nullable=False),
    Column("source", String(20), nullable=False, server_default=""),
    Column("sequence", BigInteger, nullable=False),
    Column("name", String(200), nullable=False),
    Column("series", String(80), nullable=False, server_default=""),
    Column("kind", String(16), nullable=False, server_default=""),
    Column("mode", String(4), nullable=False, server_default=""),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("modified", Micros, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False),
    Column("token", Integer, nullable=False, server_default="0"),
    Column("rows", Integer, nullable=False, server_default="0"),
    Column("same", Integer, nullable=False, server_default="0"),
    Column("changed", Integer, nullable=False, server_default="0"),
    Column("added", Integer, nullable=False, server_default="0"),
    Column("removed", Integer, nullable=False, server_default="0"),
    Column("bad", Integer, nullable=False, server_default="0"),
    Column("staged", Boolean, nullable=False, server_default=text("false")),
    Column("message", Text, nullable=False, server_default=""),
    Column("decided_by", String(120), nullable=False, server_default=""),
    Column("started_at", Micros, nullable=False),
    Column("ended_at", Micros),
    Column("updated_at", Micros, nullable=False),
    UniqueConstraint("connection", "name", "sequence"),
    Index("ix_feed_file_sequence", "connection", "source", "sequence"),
)

feed_row = Table(
    "feed_row",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("connection", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("key", RowKey, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    UniqueConstraint("connection", "kind", "key"),
)

feed_stage = Table(
    "feed_stage",
    metadata,
    Column("file_id", Id, ForeignKey("feed_file.id"), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("key", RowKey, nullable=False),
    Column("digest", LargeBinary(16)),
    Column("raw", LargeBinary),
    UniqueConstraint("file_id", "key"),
)

feed_bad = Table(
    "feed_bad",
    metadata,
    Column("file_id", Id, ForeignKey("feed_file.id"), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(200), nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
)

# -- portals and requests ------------------------------------------------------------------------------------------------
# Digests: `wanted` as the portal should have it, `told` as it has it, `staged` as the file says that is being made.

publication = Table(
    "publication",
    metadata,
    Column("portal", String(32), primary_key=True),
    Column("source", String(32), primary_key=True),
    Column("customer", String(200), primary_key=True),
    Column("wanted", String(64), nullable=False, server_default=""),
    Column("told", String(64), nullable=False, server_default=""),
    Column("card", String(64), nullable=False, server_default=""),
    Column("staged", String(64), nullable=False, server_default=""),
    Column("file", Integer, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("gone", Boolean, nullable=False, server_default=text("false")),
    Column("wanted_at", Micros, nullable=False),
    Column("told_at", Micros),
    Index(
        "ix_publication_untold",
        "portal",
        "source",
        "customer",
        sqlite_where=text("wanted <> told"),
        postgresql_where=text("wanted <> told"),
    ),
    Index(
        "ix_publication_file",
        "portal",
        "file",
        sqlite_where=text("file > 0"),
        postgresql_where=text("file > 0"),
    ),
)

portal_contact = Table(
    "portal_contact",
    metadata,
    Column("portal", String(32), primary_key=True),
    Column("source", String(32), primary_key=True),
    Column("contact", String(200), primary_key=True),
    Column("told", String(64), nullable=False, server_default=""),
    Column("staged", String(64), nullable=False, server_default=""),
    Column("file", Integer, nullable=False, server_default="0"),
)

portal_file = Table(
    "portal_file",
    metadata,
    Column("portal", String(32), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("source", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("mark", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # intended, staged, given
    Column("rows", Integer, nullable=False, server_default="0"),
    Column("begun_at", Micros, nullable=False),
    Column("given_at", Micros),
)

request = Table(
    "request",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("customer", String(200), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("text", Text, nullable=False, server_default=""),
    Column("phone", String(60), nullable=False, server_default=""),
    Column("mark", String(64), nullable=False, server_default=""),
    Column("at", Micros, nullable=False),
    UniqueConstraint("source", "customer", "number"),
)
