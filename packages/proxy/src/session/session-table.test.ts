import { describe, expect, it } from 'vitest'
import type { ServerLink } from '../transport/server-link.ts'
import { HeldBytes } from '../held-bytes.ts'
import { SessionTable } from './session-table.ts'
import { Subscriptions } from './subscriptions.ts'

const link = {} as ServerLink

describe('SessionTable', () => {
  it('gives out UUIDs of version 4 and refuses above the maximum', () => {
    const table = new SessionTable({ maximum: 1, ttlMs: 10, unusedTtlMs: 10 })
    expect(table.create(link)?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(table.create(link)).toBeUndefined()
  })

  it('finds sessions idle that were not used for the whole time', () => {
    let now = 0
    const table = new SessionTable({ maximum: 9, ttlMs: 100, unusedTtlMs: 50, now: () => now })
    const [quiet, used, unused] = [table.create(link)!, table.create(link)!, table.create(link)!]
    table.touch(quiet.id)
    table.touch(used.id)
    now = 50
    expect(table.idle()).toEqual([unused])
    now = 60
    table.touch(used.id)
    now = 100
    expect(table.idle()).toEqual([unused, quiet])
  })

  it('never finds a session idle that has an open stream', () => {
    let now = 0
    const table = new SessionTable({ maximum: 9, ttlMs: 100, unusedTtlMs: 100, now: () => now })
    const session = table.create(link)!
    session.stream = { isClosed: false } as NonNullable<typeof session.stream>
    now = 1000
    expect(table.idle()).toEqual([])
    expect(table.mostIdle()).toBeUndefined()
    session.stream = undefined
    now = 1099
    expect(table.idle()).toEqual([])
    now = 1100
    expect(table.idle()).toEqual([session])
  })

  it('gives up a session that was never used first, then the longest idle', () => {
    const table = new SessionTable({ maximum: 9, ttlMs: 100, unusedTtlMs: 100 })
    const [first, second, forgotten] = [table.create(link)!, table.create(link)!, table.create(link)!]
    table.touch(second.id)
    table.touch(first.id)
    expect(table.mostIdle()).toBe(forgotten)
    table.delete(forgotten)
    expect(table.mostIdle()).toBe(second)
    second.calls.set('1', {} as never)
    expect(table.mostIdle()).toBe(first)
  })
})

describe('Subscriptions', () => {
  const table = new SessionTable({ maximum: 9, ttlMs: 100, unusedTtlMs: 100 })

  it('asks the server for the first and tells it about the last of a URI only', () => {
    const subscriptions = new Subscriptions(10, new HeldBytes(100))
    const [one, two] = [table.create(link)!, table.create(link)!]
    expect(subscriptions.add(one, 'u')).toBe('ask')
    subscriptions.confirm('u')
    expect(subscriptions.add(two, 'u')).toBe('known')
    expect(subscriptions.remove(one, 'u')).toBe(false)
    expect([...subscriptions.subscribers('u')]).toEqual([two])
    expect(subscriptions.remove(two, 'u')).toBe(true)
    expect(subscriptions.uris()).toEqual([])
  })

  it('bounds the subscriptions of one session', () => {
    const subscriptions = new Subscriptions(1, new HeldBytes(100))
    const session = table.create(link)!
    subscriptions.add(session, 'a')
    expect(subscriptions.add(session, 'b')).toBe('full')
    expect(subscriptions.add(session, 'a')).toBe('ask')
  })
})
