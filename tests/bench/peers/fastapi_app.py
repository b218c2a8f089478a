"""The list of projects as a FastAPI server is usually written: a dependency that looks the key up, a query, a response
model. Run by uvicorn; PEER_DSN names the database."""
import hashlib
import os
from datetime import datetime
from typing import Any, List, Optional

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

app = FastAPI()


class Project(BaseModel):
    id: str
    name: str
    slug: str
    username: str
    owner: str
    description: Optional[str]
    visibility: str
    modelCount: int
    modelNames: List[str]
    tags: List[str]
    license: Optional[str]
    totalBytes: int
    starCount: int = 0
    isStarred: bool = False
    archived: bool = False
    iconColor: Optional[str] = None
    iconLetter: Optional[str] = None
    metadata: Any
    createdAt: datetime
    updatedAt: datetime


class Page(BaseModel):
    success: bool = True
    data: List[Project]
    total: int


@app.on_event("startup")
async def connect():
    app.state.pool = await asyncpg.create_pool(os.environ["PEER_DSN"], min_size=4, max_size=4)


async def caller(request: Request):
    word, _, key = request.headers.get("authorization", "").partition(" ")
    if word.lower() != "bearer":
        raise HTTPException(401, "an API key is required")
    row = await app.state.pool.fetchrow(
        "SELECT k.account_id, k.organization_id FROM data.api_key k JOIN data.account a ON a.id = k.account_id"
        " WHERE k.hash = $1 AND k.revoked_at IS NULL AND a.suspended_at IS NULL",
        hashlib.sha256(key[-40:].encode()).digest())
    if row is None:
        raise HTTPException(401, "the API key is not valid")
    return row


LIST = """
SELECT p.id, p.name, p.slug, o.handle, p.description, p.visibility, p.model_count, p.tags, p.license, p.metadata,
       p.created_at, p.updated_at,
       ARRAY(SELECT m.name FROM data.model m WHERE m.project_id = p.id AND m.deleted_at IS NULL
              ORDER BY m.created_at DESC LIMIT 100) AS model_names,
       (SELECT coalesce(sum(c.n), 0)::bigint FROM data.counter c WHERE c.scope_kind = 'project' AND c.scope_id = p.id
           AND c.noun IN ('dataset_bytes', 'model_bytes')) AS total_bytes,
       (SELECT sum(c.n)::bigint FROM data.counter c WHERE c.scope_kind = 'organization'
           AND c.scope_id = p.organization_id AND c.noun = 'project') AS total
  FROM data.project p
  JOIN data.organization o ON o.id = p.organization_id
 WHERE p.organization_id = $1 AND p.deleted_at IS NULL
 ORDER BY p.created_at DESC, p.id DESC
 LIMIT $2 OFFSET $3"""


@app.get("/api/projects", response_model=Page)
async def projects(limit: int = 20, page: int = 1, who=Depends(caller)):
    rows = await app.state.pool.fetch(LIST, who["organization_id"], limit, (page - 1) * limit)
    return Page(total=rows[0]["total"] if rows else 0, data=[
        Project(id=f"{int(r['created_at'].timestamp()):08x}{r['id']:016x}", name=r["name"], slug=r["slug"],
                username=r["handle"], owner=r["handle"], description=r["description"], visibility=r["visibility"],
                modelCount=r["model_count"], modelNames=r["model_names"], tags=r["tags"], license=r["license"],
                totalBytes=r["total_bytes"], metadata=r["metadata"], createdAt=r["created_at"],
                updatedAt=r["updated_at"])
        for r in rows])
