import { ThvError, type Operation } from '@thv/core'
import { afterEach, expect, it } from 'vitest'
import { apiLimits } from '../api-limits.ts'
import { createTestDeps } from '../fixtures/api-deps.ts'
import type { Operations } from '../operations.ts'
import { createApiServer, type ApiServer } from '../server.ts'
import { operationRoutes } from './operations.ts'

const servers: ApiServer[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map(async (server) => await server.close()))
})

async function serve(): Promise<{ operations: Operations; get: (path: string) => Promise<Answer> }> {
  const deps = createTestDeps()
  const { operations } = deps
  const server = createApiServer({ targets: [{ host: '127.0.0.1', port: 0 }], routes: operationRoutes, deps })
  servers.push(server)
  const [url = ''] = await server.start()
  return {
    operations,
    get: async (path) => {
      const answer = await fetch(`${url}/api/v1beta/operations${path}`)
      const text = await answer.text()
      return { status: answer.status, code: answer.headers.get('x-thv-error-code'), operation: parse(text) }
    },
  }
}

interface Answer {
  status: number
  code: string | null
  operation: Operation
}

/** Trusts the shape. Errors are texts, and nobody here reads them. */
function parse(text: string): Operation {
  return JSON.parse(text.startsWith('{') ? text : 'null')
}

/** Work that tells some lines and goes on until it is told to end, or to fail. */
function begin(
  operations: Operations,
  lines: readonly string[] = [],
): { id: string; end: () => void; fail: (error: Error) => void } {
  let end = (): void => {}
  let fail = (_error: Error): void => {}
  const ended = new Promise<void>((resolve, reject) => {
    end = resolve
    fail = reject
  })
  const { id } = operations.begin({
    kind: 'create',
    subjects: ['a'],
    work: async ({ progress }) => {
      for (const line of lines) progress(line)
      await ended
    },
  })
  return { id, end, fail }
}

it('an operation shows what it told about itself, bounded', async () => {
  const { operations, get } = await serve()
  const lines = Array.from({ length: apiLimits.progressLines + 5 }, (_, index) => `line ${index}`)
  const { id, end } = begin(operations, [...lines, 'x'.repeat(apiLimits.progressLineLength + 1)])
  const { status, operation } = await get(`/${id}`)
  expect([status, operation.state, operation.progress.length]).toEqual([200, 'running', apiLimits.progressLines])
  expect(operation.progress.slice(-2)).toEqual([lines.at(-1), 'x'.repeat(apiLimits.progressLineLength)])
  end()
})

it('a wait is answered when the operation has ended, with why it failed', async () => {
  const { operations, get } = await serve()
  const { id, fail } = begin(operations)
  const waiting = operations.wait(id, AbortSignal.timeout(5_000))
  const answer = get(`/${id}?wait=50`)
  fail(new ThvError('stop-timeout', 'it lives', { hint: 'look' }))
  expect((await waiting)?.state).toBe('failed')
  const { operation } = await answer
  expect(operation).toMatchObject({
    state: 'failed',
    ended: expect.any(String),
    error: { code: 'stop-timeout', message: 'it lives', hint: 'look' },
  })
  expect((await get(`/${id}?wait=50`)).operation).toEqual(operation)
})

it('a wait that is over is answered with how the operation stands', async () => {
  const { operations, get } = await serve()
  const { id, end } = begin(operations)
  const before = performance.now()
  expect((await get(`/${id}?wait=1`)).operation.state).toBe('running')
  expect(performance.now() - before).toBeGreaterThan(900)
  end()
})

it('what nobody knows, and a wait that is none, are refused', async () => {
  const { operations, get } = await serve()
  const { id, end } = begin(operations)
  expect(await get('/unknown')).toMatchObject({ status: 404, code: 'operation-not-found' })
  for (const wait of ['51', '-1', '1.5', 'x', '']) {
    expect(await get(`/${id}?wait=${wait}`)).toMatchObject({ status: 400, code: 'request-invalid' })
  }
  end()
})
