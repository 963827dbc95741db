import { limits, ThvError, workloadNotFound, type RunConfig, type Workload } from '@thv/core'
import { beforeEach, expect, test } from 'vitest'
import { preferServer } from './prefer-server.ts'
import type { WorkloadActions } from './workload-actions.ts'

const { signal } = new AbortController()
const workload: Workload = {
  name: 'notes',
  package: 'npx://notes',
  url: '',
  port: 1,
  transport_type: 'stdio',
  status: 'running',
  reason: 'serving',
  reason_message: 'its server answers',
  since: 'c',
  created_at: '',
  started_at: '',
}
const usual = { timeoutMs: limits.stopMs }

let done: string[]
let trouble: Error | undefined
let left: boolean
let actions: WorkloadActions

beforeEach(() => {
  done = []
  trouble = undefined
  left = true
  actions = preferServer(
    fake('server', () => trouble),
    fake('local', () => (left ? undefined : workloadNotFound('notes'))),
  )
})

test('the server does what it can', async () => {
  await actions.stop('notes', usual, signal)
  await actions.list({}, signal)
  expect(done).toEqual(['server stop', 'server list'])
})

test('a stop with a time of its own is done here', async () => {
  await actions.stop('notes', { timeoutMs: 1_000 }, signal)
  expect(done).toEqual(['local stop'])
})

test.each([
  new ThvError('api-server-unreachable', 'it was killed'),
  new ThvError('api-server-timeout', 'it hangs'),
  new ThvError('operation-not-found', 'it was restarted'),
  new ThvError('api-error', 'it is another version'),
  new ThvError('cancelled', 'a removal of the same workload came'),
  new ThvError('internal', 'Internal Server Error'),
  new Error('anything'),
])('what the server does not bring to an end is done here: %s', async (error) => {
  trouble = error
  await actions.stop('notes', usual, signal)
  await actions.get('notes', signal)
  expect(done).toEqual(['server stop', 'local stop', 'server get', 'local get'])
})

test('what is wrong with the workload is told as the server says it', async () => {
  trouble = new ThvError('stop-timeout', 'it does not end')
  await expect(actions.stop('notes', usual, signal)).rejects.toBe(trouble)
  expect(done).toEqual(['server stop'])
})

test('a removal that the server had done before it fell silent is no failure', async () => {
  trouble = new ThvError('api-server-unreachable', 'it was killed')
  const removal = actions.delete('notes', signal)
  // It is there when the removal begins.
  await Promise.resolve()
  left = false
  await removal
  expect(done).toEqual(['local get', 'server delete', 'local delete'])
})

test('a removal of what was never there fails', async () => {
  ;[trouble, left] = [new ThvError('api-server-unreachable', 'it was killed'), false]
  await expect(actions.delete('notes', signal)).rejects.toMatchObject({ code: 'workload-not-found' })
})

test('a list from which the server left files out is read here, where they have names', async () => {
  const listing = { workloads: [workload], problems: [{ file: 'statuses/a.json', reason: 'it is not JSON' }] }
  const server: WorkloadActions = { ...fake('server', () => undefined), list: async () => listing }
  const both = preferServer(
    server,
    fake('local', () => undefined),
  )
  expect((await both.list({}, signal)).problems).toEqual([])
  expect(done).toEqual(['local list'])
})

test('who interrupts gets nothing done twice', async () => {
  const stop = new AbortController()
  stop.abort(new Error('interrupted'))
  trouble = new ThvError('api-server-unreachable', 'aborted')
  await expect(actions.stop('notes', usual, stop.signal)).rejects.toThrow('interrupted')
  expect(done).toEqual(['server stop'])
})

function fake(by: string, error: () => Error | undefined): WorkloadActions {
  const act = async (what: string): Promise<void> => {
    done.push(`${by} ${what}`)
    const thrown = error()
    if (thrown !== undefined) throw thrown
  }
  const config: RunConfig = JSON.parse('{}')
  return {
    list: async () => {
      await act('list')
      return { workloads: [], problems: [] }
    },
    get: async () => {
      await act('get')
      return workload
    },
    explain: async () => {
      await act('explain')
      return { ...workload, causes: [], probes: [], todo: '' }
    },
    exportConfig: async () => {
      await act('export')
      return config
    },
    requireGroup: async () => await act('group'),
    stop: async () => await act('stop'),
    delete: async () => await act('delete'),
  }
}
