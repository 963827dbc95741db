import { beforeEach, expect, test } from 'vitest'
import { createApiClient, type ApiClient } from './api-client.ts'
import { serveTcp } from './fixtures/serve.ts'

const { signal } = new AbortController()
let client: ApiClient
/** Requests in order: method, target, body. */
let seen: string[]
let answer: { status: number; body: string }

beforeEach(async () => {
  seen = []
  answer = { status: 200, body: '{}' }
  const url = await serveTcp((request, response) => {
    let body = ''
    request.on('data', (piece: Buffer) => {
      body += piece.toString()
    })
    request.on('end', () => {
      seen.push(`${request.method} ${request.url} ${body}`.trim())
      response.writeHead(answer.status).end(answer.body)
    })
  })
  client = createApiClient({ url })
})

test('a list of workloads keeps what is known and fills in what another server leaves out', async () => {
  const workload = {
    name: 'notes',
    package: 'npx://notes',
    url: 'http://127.0.0.1:9000/mcp',
    port: 9000,
    transport_type: 'stdio',
    proxy_mode: 'streamable-http',
    status: 'running',
    reason: 'serving',
    reason_message: 'its server answers',
    since: '2026-08-21T10:26:06Z',
    last_error: { at: '2026-08-21T10:25:00Z', reason: 'remote-dns', message: 'no such name' },
    remote: true,
    created_at: '2026-08-21T10:26:05Z',
    started_at: '2026-08-21T10:26:06Z',
    group: 'dev',
    labels: { team: 'a' },
    isolation: 'sandbox',
    supervisor_pid: 12,
    restarts: 1,
    last_stderr: ['x'],
  }
  answer.body = JSON.stringify({
    workloads: [
      { ...workload, tools: [] },
      { name: 'new', status: 'dreaming' },
    ],
  })
  const listed = await client.workloads.list({ all: true, group: 'dev team' }, signal)
  expect(listed).toEqual({
    workloads: [
      workload,
      expect.objectContaining({ name: 'new', status: 'unknown', port: 0, created_at: '0001-01-01T00:00:00Z' }),
    ],
    passedOver: 0,
  })
  expect(seen).toEqual(['GET /api/v1beta/workloads?all=true&group=dev+team'])
})

test('no workloads may be written as null', async () => {
  answer.body = '{"workloads":null}'
  expect(await client.workloads.list({}, signal)).toEqual({ workloads: [], passedOver: 0 })
  expect(seen).toEqual(['GET /api/v1beta/workloads'])
})

test.each(['', '[]', 'null', '{"workloads":{}}', '{"workloads":[1]}', '{"workloads":[{}]}'])(
  'the answer %j is no list of workloads',
  async (body) => {
    answer.body = body
    await expect(client.workloads.list({}, signal)).rejects.toMatchObject({ code: 'api-answer-invalid' })
  },
)

test('creating and editing send the settings and bring back name and port', async () => {
  answer = { status: 201, body: '{"name":"notes","port":9000}' }
  expect(await client.workloads.create({ name: 'notes', image: 'npx://notes' }, signal)).toEqual({
    name: 'notes',
    port: 9000,
  })
  expect(await client.workloads.edit('notes', { image: 'npx://notes' }, signal)).toMatchObject({ port: 9000 })
  expect(seen).toEqual([
    'POST /api/v1beta/workloads {"name":"notes","image":"npx://notes"}',
    'POST /api/v1beta/workloads/notes/edit {"image":"npx://notes"}',
  ])
})

test('what is asked about one workload goes to its own address', async () => {
  answer.body = '{"status":"running"}'
  expect(await client.workloads.status('a/b', signal)).toBe('running')
  expect(await client.workloads.get('a/b', signal)).toEqual({ status: 'running' })
  expect(await client.workloads.export('a/b', signal)).toEqual({ status: 'running' })
  expect(await client.workloads.logs('a/b', signal)).toBe(answer.body)
  expect(await client.workloads.proxyLogs('a/b', signal)).toBe(answer.body)
  const base = 'GET /api/v1beta/workloads/a%2Fb'
  expect(seen).toEqual([`${base}/status`, base, `${base}/export`, `${base}/logs`, `${base}/proxy-logs`])
})

test('an explanation comes in full, and nothing is invented', async () => {
  const explanation = {
    name: 'notes',
    status: 'unhealthy',
    reason: 'remote-refused',
    reason_message: 'it refuses connections',
    since: '2026-08-21T10:26:06Z',
    causes: [{ at: '2026-08-21T10:26:06Z', message: 'it is unhealthy' }, { message: 'process 7 runs it' }],
    probes: [{ reason: 'remote-refused', message: 'refused', since: '2026-08-21T10:26:06Z', count: 3 }],
    todo: 'see whether it runs',
  }
  answer.body = JSON.stringify(explanation)
  expect(await client.workloads.explain('notes', signal)).toEqual(explanation)
  expect(seen).toEqual(['GET /api/v1beta/workloads/notes/explain'])
  for (const member of ['name', 'causes', 'probes', 'todo']) {
    answer.body = JSON.stringify({ ...explanation, [member]: 1 })
    await expect(client.workloads.explain('notes', signal)).rejects.toMatchObject({ code: 'api-answer-invalid' })
  }
})

test('orders need no answer but that they were taken', async () => {
  answer = { status: 202, body: '' }
  await client.workloads.stop('notes', signal)
  await client.workloads.restart('notes', signal)
  await client.workloads.delete('notes', signal)
  await client.workloads.bulk('stop', { names: ['a', 'b'] }, signal)
  await client.workloads.bulk('delete', { group: 'dev' }, signal)
  expect(seen).toEqual([
    'POST /api/v1beta/workloads/notes/stop',
    'POST /api/v1beta/workloads/notes/restart',
    'DELETE /api/v1beta/workloads/notes',
    'POST /api/v1beta/workloads/stop {"names":["a","b"]}',
    'POST /api/v1beta/workloads/delete {"group":"dev"}',
  ])
})

test('an order that another status than 202 answers was not taken', async () => {
  answer = { status: 200, body: '<html>' }
  await expect(client.workloads.delete('notes', signal)).rejects.toMatchObject({ code: 'api-answer-invalid' })
  await expect(client.workloads.bulk('stop', { names: ['a'] }, signal)).rejects.toMatchObject({
    code: 'api-answer-invalid',
  })
})

test('groups are listed, created, read and deleted', async () => {
  answer.body = '{"groups":[{"name":"dev","registered_clients":null,"skills":[]}]}'
  expect(await client.groups.list(signal)).toEqual([{ name: 'dev', registered_clients: [] }])
  answer.body = '{"name":"dev","registered_clients":["code"]}'
  expect(await client.groups.get('dev team', signal)).toEqual({ name: 'dev', registered_clients: ['code'] })
  expect(await client.groups.create('dev', signal)).toBe('dev')
  answer = { status: 204, body: '' }
  await client.groups.delete('dev', { withWorkloads: true }, signal)
  await client.groups.delete('dev', { withWorkloads: false }, signal)
  expect(seen).toEqual([
    'GET /api/v1beta/groups',
    'GET /api/v1beta/groups/dev%20team',
    'POST /api/v1beta/groups {"name":"dev"}',
    'DELETE /api/v1beta/groups/dev?with-workloads=true',
    'DELETE /api/v1beta/groups/dev',
  ])
})

test('an operation is waited for, and fails under the code of the server', async () => {
  answer.body = '{"id":"x","state":"running"}'
  expect(await client.operations.wait('a/b', 10, signal)).toEqual({ state: 'running' })
  answer.body = '{"state":"failed","error":{"code":"stop-timeout","message":"it lives","hint":"look"}}'
  const failed = await client.operations.wait('x', 0, signal)
  expect(failed).toMatchObject({ state: 'failed', error: { code: 'stop-timeout', message: 'it lives', hint: 'look' } })
  answer.body = '{"state":"failed","error":{"code":"new-in-2","message":"odd"}}'
  expect(await client.operations.wait('x', 0, signal)).toMatchObject({ error: { code: 'api-error', message: 'odd' } })
  answer.body = '{"state":"dreaming"}'
  await expect(client.operations.wait('x', 0, signal)).rejects.toMatchObject({ code: 'api-answer-invalid' })
  expect(seen.slice(0, 2)).toEqual(['GET /api/v1beta/operations/a%2Fb?wait=10', 'GET /api/v1beta/operations/x?wait=0'])
})

test('a login resolves to where a person goes on, and a logout to who else lost it', async () => {
  answer = { status: 202, body: '{"authorization_url":"https://as.test/authorize"}' }
  expect(await client.workloads.login('far', { scopes: ['read'] }, signal)).toEqual({
    authorizationUrl: 'https://as.test/authorize',
    operation: undefined,
  })
  answer = { status: 204, body: '' }
  await client.workloads.cancelLogin('far', signal)
  answer = { status: 200, body: '{"was_logged_in":true,"others":["near"]}' }
  expect(await client.workloads.logout('far', signal)).toEqual(['near'])
  expect(seen).toEqual([
    'POST /api/v1beta/workloads/far/login {"scopes":["read"]}',
    'DELETE /api/v1beta/workloads/far/login',
    'POST /api/v1beta/workloads/far/logout',
  ])
  answer = { status: 200, body: '{}' }
  await expect(client.workloads.login('far', {}, signal)).rejects.toMatchObject({ code: 'api-answer-invalid' })
  await expect(client.workloads.logout('far', signal)).rejects.toMatchObject({ code: 'api-answer-invalid' })
})
