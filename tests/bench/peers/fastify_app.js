// The list of projects as a Fastify server is usually written: a hook that looks the key up, a query, a response schema.
// node fastify_app.js SOCKET; PEER_PG_HOST names the folder of the database's socket.
'use strict';
const crypto = require('crypto');
const fastify = require('fastify')({ logger: false });
const { Pool, types } = require('pg');

types.setTypeParser(20, Number); // bigint
const pool = new Pool({ host: process.env.PEER_PG_HOST, user: 'fovea_owner', database: 'fovea', max: 8 });

const text = { type: 'string' };
const maybe = { type: 'string', nullable: true };
const project = {
  type: 'object',
  properties: {
    id: text, name: text, slug: text, username: text, owner: text, description: maybe, visibility: text,
    modelCount: { type: 'integer' }, modelNames: { type: 'array', items: text }, tags: { type: 'array', items: text },
    license: maybe, totalBytes: { type: 'integer' }, starCount: { type: 'integer' }, isStarred: { type: 'boolean' },
    archived: { type: 'boolean' }, iconColor: maybe, iconLetter: maybe,
    metadata: { type: 'object', additionalProperties: true }, createdAt: text, updatedAt: text,
  },
};
const page = {
  type: 'object',
  properties: { success: { type: 'boolean' }, data: { type: 'array', items: project }, total: { type: 'integer' } },
};

async function caller(request, reply) {
  const [word, key] = (request.headers.authorization || '').split(' ');
  if (!key || word.toLowerCase() !== 'bearer') return reply.code(401).send({ success: false });
  const hash = crypto.createHash('sha256').update(key.slice(-40)).digest();
  const found = await pool.query({
    name: 'caller',
    text: `SELECT k.account_id, k.organization_id FROM data.api_key k JOIN data.account a ON a.id = k.account_id
            WHERE k.hash = $1 AND k.revoked_at IS NULL AND a.suspended_at IS NULL`,
    values: [hash],
  });
  if (!found.rowCount) return reply.code(401).send({ success: false });
  request.who = found.rows[0];
}

const list = `
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
 LIMIT $2 OFFSET $3`;

const hex = (n, digits) => Math.floor(n).toString(16).padStart(digits, '0');

fastify.get('/api/projects', { preHandler: caller, schema: { response: { 200: page } } }, async (request) => {
  const limit = Number(request.query.limit || 20);
  const found = await pool.query({
    name: 'list', text: list,
    values: [request.who.organization_id, limit, (Number(request.query.page || 1) - 1) * limit],
  });
  return {
    success: true,
    total: found.rowCount ? found.rows[0].total : 0,
    data: found.rows.map((r) => ({
      id: hex(r.created_at.getTime() / 1000, 8) + hex(r.id, 16), name: r.name, slug: r.slug, username: r.handle,
      owner: r.handle, description: r.description, visibility: r.visibility, modelCount: r.model_count,
      modelNames: r.model_names, tags: r.tags, license: r.license, totalBytes: r.total_bytes, starCount: 0,
      isStarred: false, archived: false, iconColor: null, iconLetter: null, metadata: r.metadata,
      createdAt: r.created_at.toISOString(), updatedAt: r.updated_at.toISOString(),
    })),
  };
});

fastify.listen({ path: process.argv[2] }).catch((fault) => {
  console.error(fault.message);
  process.exit(1);
});
