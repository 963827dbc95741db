import { setMaxListeners } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import type { StatusRecord } from '../domain/workload-status.ts'
import type { ContractSetUp } from './contract-setting.ts'
import type { StatusStore } from './state-store.ts'

const { signal } = new AbortController()
// Thirty updates wait on it at once, which Node would take for a leak.
setMaxListeners(0, signal)

/** What every {@link StatusStore} does, whatever it keeps records in. */
export function testStatusStore(adapter: string, setUp: ContractSetUp<StatusStore>): void {
  describe(`${adapter} as a status store`, () => {
    test('a written record reads as it was, from another store too', async () => {
      const { open } = await setUp()
      expect(await open().update('fetch', () => full, signal)).toEqual(full)
      expect(await open().read('fetch')).toEqual(full)
    })

    test('a record that was never written is undefined, and change sees undefined', async () => {
      const { open } = await setUp()
      const store = open()
      const change = vi.fn<(current: unknown) => undefined>(() => undefined)
      expect(await store.read('fetch')).toBeUndefined()
      expect(await store.update('fetch', change, signal)).toBeUndefined()
      expect(change).toHaveBeenCalledExactlyOnceWith(undefined)
      expect(await store.list()).toEqual({ names: [], problems: [] })
    })

    test('a change to undefined leaves the record and resolves to it', async () => {
      const { open } = await setUp()
      const store = open()
      await store.update('fetch', () => full, signal)
      expect(await store.update('fetch', () => undefined, signal)).toEqual(full)
      expect(await store.read('fetch')).toEqual(full)
    })

    test("a change to 'delete' removes the record", async () => {
      const { open } = await setUp()
      const store = open()
      await store.update('fetch', () => full, signal)
      expect(await store.update('fetch', () => 'delete', signal)).toBeUndefined()
      expect(await store.update('fetch', () => 'delete', signal)).toBeUndefined()
      expect(await store.read('fetch')).toBeUndefined()
      expect(await store.list()).toEqual({ names: [], problems: [] })
    })

    test('concurrent updates of several stores lose nothing', async () => {
      const { open } = await setUp()
      const stores = [open(), open(), open()]
      await Promise.all(Array.from({ length: 30 }, (_, turn) => stores[turn % 3]!.update('fetch', countUp, signal)))
      expect((await open().read('fetch'))?.process_id).toBe(30)
    })

    test('a change that throws changes nothing and lets the next update in', async () => {
      const { open } = await setUp()
      const store = open()
      await store.update('fetch', () => full, signal)
      const failing = store.update('fetch', () => raise('no'), signal)
      await expect(failing).rejects.toThrow('no')
      expect(await store.update('fetch', () => undefined, signal)).toEqual(full)
    })

    test('an update with an aborted signal rejects with its reason and does not ask for the change', async () => {
      const { open } = await setUp()
      const change = vi.fn<() => StatusRecord>(() => full)
      const reason = new Error('stopped')
      await expect(open().update('fetch', change, AbortSignal.abort(reason))).rejects.toBe(reason)
      expect(change).not.toHaveBeenCalled()
    })

    test('the list has every name once, sorted', async () => {
      const { open } = await setUp()
      const store = open()
      for (const name of ['time', 'a.b', 'fetch', 'fetch']) await store.update(name, () => full, signal)
      expect(await store.list()).toEqual({ names: ['a.b', 'fetch', 'time'], problems: [] })
    })

    test.each(['../up', 'a/b', '', 'a..b', 'nul\0'])('the name %j is refused everywhere', async (name) => {
      const { open } = await setUp()
      const store = open()
      await expect(store.read(name)).rejects.toMatchObject({ code: 'invalid-name' })
      await expect(store.update(name, () => full, signal)).rejects.toMatchObject({ code: 'invalid-name' })
    })

    test('a watcher hears of creation, change and deletion by another store, until its signal aborts', async () => {
      const { open } = await setUp()
      const ending = new AbortController()
      const changed = vi.fn<() => void>()
      open().watch('fetch', changed, ending.signal)
      for (const change of [full, { ...full, process_id: 1 }, 'delete'] as const) {
        changed.mockClear()
        await open().update('fetch', () => change, signal)
        await vi.waitFor(() => expect(changed).toHaveBeenCalled(), { timeout: 5_000 })
      }
      ending.abort()
      changed.mockClear()
      await open().update('fetch', () => full, signal)
      await new Promise((resolve) => setTimeout(resolve, 700))
      expect(changed).not.toHaveBeenCalled()
    })
  })
}

function countUp(current: StatusRecord | undefined): StatusRecord {
  return { ...full, process_id: current === undefined ? 1 : current.process_id + 1 }
}

function raise(message: string): never {
  throw new Error(message)
}

const full: StatusRecord = {
  status: 'running',
  status_context: 'all "well" \u{1f600}\n',
  created_at: '2026-08-21T10:00:00.123456789+02:00',
  updated_at: '2026-08-21T10:01:00Z',
  process_id: 4711,
  thv: {
    owner: { pid: 4711, started: 'boot 99', shared: true },
    server: { pid: 4712, started: 'boot 100', group: 4712, marker: 'abc' },
    lanes: [{ container: 'f00d', engine: '/var/run/docker.sock' }],
    since: '2026-08-21T10:00:30Z',
    started_at: '2026-08-21T10:00:30Z',
    restarts: 2,
    server_card: { name: 'io.example/notes', title: 'Notes \u{1f600}', version: '1.2', description: 'keeps notes' },
    stop_deadline: '2026-08-21T10:00:30Z',
    error_code: 'server-exited',
    last_stderr: ['first', '\u001b[31msecond\u001b[0m', ''],
  },
}
