import { createFileGroupStore } from '@thv/adapters'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ApiDeps } from '../api-deps.ts'
import { createApiApp } from '../app.ts'
import { apiRoutes } from '../routes.ts'

let directory: string
let call: (
  method: string,
  path: string,
  body?: unknown,
) => Promise<{ status: number; text: string; code: string | null }>

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-api-'))
  const groups = createFileGroupStore({ stateDirectory: directory })
  await groups.create({ name: 'work', registered_clients: ['cursor', 'no-such-client', 'zed'] })
  await groups.create({ name: 'home', registered_clients: ['cursor'] })
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- these routes use nothing else
  const deps = { log: () => {}, workloads: async () => await Promise.resolve({ groups }) } as unknown as ApiDeps
  const never = new AbortController().signal
  const app = createApiApp({ routes: apiRoutes, deps, closing: never, ending: never })
  call = async (method, path, body) => {
    const sent = body === undefined ? { method } : { method, body: JSON.stringify(body) }
    const answer = await app.request(path, sent, {})
    return { status: answer.status, text: await answer.text(), code: answer.headers.get('X-Thv-Error-Code') }
  }
})

afterEach(async () => await rm(directory, { recursive: true }))

describe('what thv cannot do yet', () => {
  it.each([
    ['/api/v1beta/skills', { skills: [] }],
    ['/api/v1beta/plugins?scope=user', { plugins: [] }],
    ['/api/v1beta/skills/builds', { builds: [] }],
    ['/api/v1beta/registry/default/servers', { servers: [] }],
    ['/registry/any/v0.1/servers?limit=3&page=2', { servers: [], metadata: { total: 0, page: 2, limit: 3 } }],
    ['/registry/any/v0.1/x/dev.toolhive/skills', { skills: [], metadata: { total: 0, page: 1, limit: 50 } }],
  ])('lists nothing at %s', async (path, expected) => {
    const { status, text } = await call('GET', path)
    expect({ status, json: JSON.parse(text) }).toEqual({ status: 200, json: expected })
  })

  it.each([
    ['POST', '/api/v1beta/skills', 501, 'not-implemented'],
    ['POST', '/api/v1beta/plugins/sync', 501, 'not-implemented'],
    ['GET', '/api/v1beta/skills/mine', 404, 'skill-not-found'],
    ['DELETE', '/api/v1beta/plugins/builds/v1', 404, 'skill-not-found'],
    ['GET', '/api/v1beta/skills?scope=nowhere', 400, 'request-invalid'],
    ['PUT', '/api/v1beta/registry/default', 501, 'not-implemented'],
    ['PUT', '/api/v1beta/registry/other', 404, 'registry-not-found'],
    ['DELETE', '/api/v1beta/registry/default', 400, 'request-invalid'],
    ['GET', '/api/v1beta/registry/default/servers/io.github%2Fx', 404, 'registry-entry-not-found'],
    ['POST', '/api/v1beta/registry/auth/login', 400, 'request-invalid'],
    ['GET', '/registry/any/v0.1/servers?limit=201', 400, 'request-invalid'],
  ])('says so: %s %s is %d %s', async (method, path, status, code) => {
    expect(await call(method, path)).toMatchObject({ status, code })
  })

  it('tells of an entry that is not in the registry as JSON', async () => {
    const { status, text } = await call('GET', '/registry/any/v0.1/servers/io.github%2Fx/versions/latest')
    expect({ status, json: JSON.parse(text) }).toMatchObject({ status: 404, json: { code: 'not_found' } })
  })
})

describe('clients', () => {
  it('are those that the group files name, with their groups', async () => {
    const { text } = await call('GET', '/api/v1beta/clients')
    expect(JSON.parse(text)).toEqual([
      { name: 'cursor', groups: ['home', 'work'] },
      { name: 'zed', groups: ['work'] },
    ])
  })

  it('are all listed with whether they are registered', async () => {
    const { text } = await call('GET', '/api/v1beta/discovery/clients')
    const { clients } = JSON.parse(text)
    expect(clients).toHaveLength(25)
    expect(clients.filter((client: { registered: boolean }) => client.registered)).toHaveLength(2)
  })

  it.each([
    { at: '', body: { name: 'vim' }, status: 400, text: /^unsupported client type: vim/ },
    { at: '', body: { name: 'cursor', groups: ['none'] }, status: 404, text: /none/ },
    { at: '', body: { name: 'cursor' }, status: 501, text: /yet/ },
    { at: '/register', body: { names: [] }, status: 400, text: /names/ },
    { at: '/register', body: { names: ['cursor', 'vim'] }, status: 400, text: /^unsupported client type: vim/ },
  ])('cannot be registered yet: $body is $status', async ({ at, body, status, text }) => {
    const answer = await call('POST', `/api/v1beta/clients${at}`, body)
    expect(answer).toMatchObject({ status, text: expect.stringMatching(text) })
  })

  it('cannot be taken from a group yet', async () => {
    expect(await call('DELETE', '/api/v1beta/clients/cursor/groups/work')).toMatchObject({ status: 501 })
  })
})
