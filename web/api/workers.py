"""`/workers`: how much waits in each queue, and who is at work."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from core.rights import Right
from web.api.common import Moment
from web.api.door import needs
from web.dashboard.common import context_of
from web.dashboard.workers import missing, queues

router = APIRouter(tags=["workers"])


class Queue(BaseModel):
    """One queue."""

    name: Annotated[str, Field(examples=["live"])]
    depth: Annotated[int, Field(description="Jobs that are due; 10,001 stands for more than 10,000", examples=[3])]
    oldest_seconds: Annotated[float, Field(description="Since the longest waiting one is due", examples=[1.5])]
    running: Annotated[int, Field(examples=[2])]
    per_minute: Annotated[int, Field(description="Jobs done of late", examples=[120])]


class Process(BaseModel):
    """One process, as it told of itself last."""

    id: str
    host: str
    pid: int
    role: Annotated[str, Field(description="up, web or worker", examples=["worker"])]
    version: Annotated[str, Field(examples=["0.1.0"])]
    threads: Annotated[int, Field(examples=[4])]
    jobs: Annotated[int, Field(description="What its threads are at", examples=[2])]
    broker: Annotated[str, Field(description='up, away or "": none is configured')]
    behind_seconds: Annotated[float, Field(description="How late its rounds are", examples=[0])]
    gone: Annotated[bool, Field(description="It has told nothing for so long that it must have ended")]
    started_at: Moment
    seen_at: Moment


class Workers(BaseModel):
    """Queues and processes."""

    nobody: Annotated[bool, Field(description="None of the processes that carry out jobs is there any more")]
    queues: list[Queue]
    processes: list[Process]


@router.get("/workers", dependencies=[Depends(needs(Right.SEE))])
def get_workers(request: Request) -> Workers:
    """Who is at work, and how much waits."""
    books = context_of(request).ledger
    running, done, everybody = books.processes.at_work(), books.processes.done(), books.processes.all()
    return Workers(
        nobody=missing(everybody),
        queues=[
            Queue(
                name=one.name,
                depth=one.depth,
                oldest_seconds=one.oldest,
                running=one.running,
                per_minute=one.per_minute,
            )
            for one in queues(books, running, done)
        ],
        processes=[
            Process(
                id=one.id,
                host=one.host,
                pid=one.pid,
                role=one.role,
                version=one.version,
                threads=one.threads,
                jobs=sum(job.process == one.id for job in running),
                broker=one.broker,
                behind_seconds=one.lag,
                gone=one.gone,
                started_at=one.started_at,
                seen_at=one.seen_at,
            )
            for one in everybody
        ],
    )
