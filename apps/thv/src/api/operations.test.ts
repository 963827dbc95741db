import { ThvError, type OperationKind } from '@thv/core'
import { describe, expect, it } from 'vitest'
import { apiLimits } from './api-limits.ts'
import { Operations, type BegunOperation } from './operations.ts'

/** A promise, and what settles it. */
function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function table(): {
  operations: Operations
  /** Begins work that ends when its gate opens or its signal aborts. */
  begin: (
    subject: string,
    more?: { kind?: OperationKind; caller?: AbortSignal; accepts?: boolean },
  ) => {
    begun: BegunOperation<string>
    open: () => void
    started: Promise<void>
  }
  ended: (id: string) => Promise<void>
} {
  const waiting = new Map<string, () => void>()
  const operations = new Operations((_level, _message, fields) => waiting.get(String(fields?.['operation']))?.())
  return {
    operations,
    begin: (subject, { kind = 'restart', accepts = true, ...more } = {}) => {
      const end = gate()
      const started = gate()
      const begun = operations.begin<string>({
        kind,
        subjects: [subject],
        ...more,
        work: async ({ accept, inTurn }) =>
          await inTurn(subject, async (signal) => {
            started.open()
            if (accepts) accept(subject)
            await Promise.race([end.opened, aborted(signal)])
          }),
      })
      return { begun, open: end.open, started: started.opened }
    },
    ended: async (id) => {
      const { open, opened } = gate()
      waiting.set(id, open)
      if (operations.get(id)?.state === 'running') await opened
    },
  }
}

describe('operations', () => {
  it('are known from their beginning to their end, and after it', async () => {
    const { operations, begin, ended } = table()
    const { begun, open } = begin('a', { kind: 'stop' })
    expect(await begun.accepted).toBe('a')
    expect(operations.get(begun.id)).toMatchObject({ kind: 'stop', subjects: ['a'], state: 'running' })
    open()
    await ended(begun.id)
    expect(operations.get(begun.id)).toMatchObject({ state: 'succeeded', ended: expect.any(String) })
    expect(operations.list()).toHaveLength(1)
  })

  it('keep why they failed, and tell whoever waits for their acceptance', async () => {
    const { operations } = table()
    const failure = new ThvError('port-in-use', 'the port is taken', { hint: 'take another' })
    const begun = operations.begin({ kind: 'create', subjects: ['a'], work: async () => await Promise.reject(failure) })
    await expect(begun.accepted).rejects.toBe(failure)
    expect(operations.get(begun.id)).toMatchObject({
      state: 'failed',
      error: { code: 'port-in-use', message: 'the port is taken', hint: 'take another' },
    })
  })

  it('wait for others on the same subject, and for no others', async () => {
    const { begin } = table()
    const first = begin('a')
    const second = begin('a')
    const other = begin('b')
    await other.started
    await first.started
    let hasStarted = false
    void second.started.then(() => (hasStarted = true))
    await other.begun.accepted
    expect(hasStarted).toBe(false)
    first.open()
    await second.started
    second.open()
    other.open()
  })

  it('end what would start their subject', async () => {
    const { operations, begin } = table()
    const first = begin('a', { kind: 'create', accepts: false })
    await first.started
    const second = begin('a', { kind: 'delete' })
    await expect(first.begun.accepted).rejects.toMatchObject({ code: 'cancelled' })
    await second.started
    second.open()
    expect(operations.get(first.begun.id)).toMatchObject({ state: 'failed', error: { code: 'cancelled' } })
  })

  it('do not end a removal, or what is like them', async () => {
    const { operations, begin, ended } = table()
    const removal = begin('a', { kind: 'delete' })
    const again = begin('a', { kind: 'delete' })
    const stop = begin('a', { kind: 'stop' })
    await removal.started
    for (const { begun, open } of [removal, again, stop]) {
      open()
      await ended(begun.id)
      expect(operations.get(begun.id)).toMatchObject({ state: 'succeeded' })
    }
  })

  it('on several subjects are interrupted, and waited for, only where another one asks for it', async () => {
    const { operations, begin, ended } = table()
    const [endOfB, bHasStarted] = [gate(), gate()]
    const several = operations.begin({
      kind: 'restart',
      subjects: ['a', 'b'],
      work: async ({ inTurn }) => {
        const [a, b] = await Promise.allSettled([
          inTurn('a', aborted),
          inTurn('b', async (signal) => {
            bHasStarted.open()
            await Promise.race([endOfB.opened, aborted(signal)])
          }),
        ])
        expect([a.status, b.status]).toEqual(['rejected', 'fulfilled'])
      },
    })
    await bHasStarted.opened
    const stop = begin('a', { kind: 'stop' })
    await stop.started
    expect(operations.get(several.id)?.state).toBe('running')
    endOfB.open()
    await ended(several.id)
    expect(operations.get(several.id)?.state).toBe('succeeded')
    stop.open()
    await ended(stop.begun.id)
  })

  it('end with their caller until they are accepted, and not afterwards', async () => {
    const { operations, begin, ended } = table()
    const caller = new AbortController()
    const early = begin('a', { caller: caller.signal, accepts: false })
    const late = begin('b', { caller: caller.signal })
    await late.begun.accepted
    await early.started
    caller.abort(new Error('gone'))
    await expect(early.begun.accepted).rejects.toThrow('gone')
    expect(operations.get(late.begun.id)?.state).toBe('running')
    late.open()
    await ended(late.begun.id)
    expect(operations.get(late.begun.id)?.state).toBe('succeeded')
  })

  it('are refused above the limit, and forgotten above the other one', async () => {
    const { operations, begin, ended } = table()
    const running = Array.from({ length: apiLimits.runningOperations }, (_, index) => begin(`a${index}`))
    expect(() => begin('one more')).toThrow(expect.objectContaining({ code: 'server-busy' }))
    for (const { open } of running) open()
    for (const { begun } of running) await ended(begun.id)
    for (let index = 0; index < apiLimits.endedOperations; index += 1) {
      const { begun, open } = begin(`b${index}`)
      open()
      await ended(begun.id)
    }
    expect(operations.list()).toHaveLength(apiLimits.endedOperations)
    expect(operations.get(running[0]?.begun.id ?? '')).toBeUndefined()
  })

  it('are waited for at the end; what nobody was promised is ended, the rest is left to itself', async () => {
    const { operations, begin } = table()
    const accepted = begin('a')
    const waiting = begin('b', { accepts: false })
    await accepted.begun.accepted
    await waiting.started
    const closed = operations.close(10, 10)
    await expect(waiting.begun.accepted).rejects.toMatchObject({ code: 'server-busy' })
    await closed
    expect(operations.get(accepted.begun.id)?.state).toBe('running')
    expect(() => begin('c')).toThrow(expect.objectContaining({ code: 'server-busy' }))
    accepted.open()
  })
})

describe('a login', () => {
  it('can be cancelled where it waits, and is told from others', async () => {
    const { operations, begin, ended } = table()
    const { begun, started } = begin('far', { kind: 'login' })
    await started
    expect([operations.isRunning('login', 'far'), operations.isRunning('login', 'near')]).toEqual([true, false])
    expect([operations.cancel('login', 'near'), operations.cancel('logout', 'far')]).toEqual([false, false])
    expect(operations.cancel('login', 'far')).toBe(true)
    await ended(begun.id)
    expect(operations.get(begun.id)).toMatchObject({ state: 'failed', error: { code: 'cancelled' } })
    expect([operations.isRunning('login', 'far'), operations.cancel('login', 'far')]).toEqual([false, false])
  })

  it.each(['restart', 'edit', 'logout', 'stop', 'delete'] as const)('is not what a %s waits for', async (kind) => {
    const { operations, begin, ended } = table()
    const login = begin('far', { kind: 'login' })
    await login.started
    const later = begin('far', { kind })
    await later.started
    await ended(login.begun.id)
    expect(operations.get(login.begun.id)).toMatchObject({ state: 'failed', error: { message: expect.any(String) } })
    later.open()
    await ended(later.begun.id)
  })
})
