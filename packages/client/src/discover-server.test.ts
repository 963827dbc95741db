import type { ServerRecord, ServerRecordRead } from '@thv/core'
import { expect, test } from 'vitest'
import { discoverServer } from './discover-server.ts'
import { deadUrl, serveTcp } from './fixtures/serve.ts'

const { signal } = new AbortController()
const nonce = 'a1'.repeat(16)

test('the environment wins, as it is, and nothing is read', async () => {
  const found = await discoverServer(
    {
      environment: { TOOLHIVE_API_URL: 'https://elsewhere.example/thv/' },
      records: { read: async () => await Promise.reject(new Error('was read')) },
      isAlive: async () => true,
    },
    signal,
  )
  expect(found).toEqual({ source: 'environment', url: 'https://elsewhere.example/thv/' })
})

test('a server that announced itself and answers is found; an empty variable says nothing', async () => {
  const url = await serveTcp((_request, response) => response.writeHead(204, { 'X-Toolhive-Nonce': nonce }).end())
  expect(await discover(at(url), { TOOLHIVE_API_URL: '' })).toEqual({ source: 'record', url, pid: 7 })
})

test.each([
  [true, 'unhealthy'],
  [false, 'stale'],
])('without an answer, and with its process alive: %s, it is %s and the default stands', async (alive, state) => {
  const record = at(await deadUrl())
  expect(await discover(record, {}, alive)).toEqual({
    source: 'default',
    url: 'http://127.0.0.1:8080',
    evaluation: { state, record, reason: 'nobody listens there' },
  })
})

test.each<[string, ServerRecordRead]>([
  ['not_found', { kind: 'absent' }],
  ['refused', { kind: 'refused', reason: 'it is a symbolic link', isOurs: false }],
])('a record that is %s leaves the default, and is told', async (state, read) => {
  const found = await discoverServer({ environment: {}, records: { read: async () => read }, isAlive }, signal)
  expect(found).toMatchObject({ source: 'default', url: 'http://127.0.0.1:8080', evaluation: { state } })
})

test('another server at the place of the one that announced itself is not taken for it', async () => {
  const url = await serveTcp((_request, response) =>
    response.writeHead(204, { 'X-Toolhive-Nonce': 'b2'.repeat(16) }).end(),
  )
  expect(await discover(at(url), {})).toMatchObject({ source: 'default', evaluation: { state: 'unhealthy' } })
})

async function isAlive(): Promise<boolean> {
  return await Promise.resolve(true)
}

function at(url: string): ServerRecord {
  return { url, pid: 7, nonce, started_at: '2026-08-21T10:26:05Z' }
}

async function discover(record: ServerRecord, environment: Record<string, string>, alive = true) {
  const read: ServerRecordRead = { kind: 'record', record }
  return await discoverServer({ environment, records: { read: async () => read }, isAlive: async () => alive }, signal)
}
