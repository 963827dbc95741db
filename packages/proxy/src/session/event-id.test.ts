import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildEventId, parseEventId, type EventId } from './event-id.ts'

const idTexts = fc.oneof(fc.integer(), fc.string()).map((id) => JSON.stringify(id))
const epochs = fc.stringMatching(/^[0-9a-f]{8}$/)
const numbers = fc.nat({ max: 1e12 })
const eventIds: fc.Arbitrary<EventId> = fc.oneof(
  fc.record({
    epoch: epochs,
    kind: fc.constantFrom('get' as const, 'end' as const),
    stream: numbers,
    position: numbers,
    waitsFor: fc.constant([]),
  }),
  fc.record({
    epoch: epochs,
    kind: fc.constant('post' as const),
    stream: numbers,
    position: numbers,
    waitsFor: fc.array(idTexts, { minLength: 1, maxLength: 5 }),
  }),
)

describe('an event id', () => {
  it('says everything it was built from, in characters a header can carry', () => {
    fc.assert(
      fc.property(eventIds, (id) => {
        const text = buildEventId(id)
        expect(text).toMatch(/^[\w-]+$/)
        expect(parseEventId(text)).toEqual(id)
      }),
    )
  })

  it('is read from any text without an error, and names only ids that are JSON strings or numbers', () => {
    const forged = fc.string().map((text) => `00000000-p1-1-${Buffer.from(text).toString('base64url')}`)
    fc.assert(
      fc.property(fc.oneof(fc.string(), forged), (text) => {
        for (const idText of parseEventId(text)?.waitsFor ?? []) {
          expect(['string', 'number']).toContain(typeof JSON.parse(idText))
        }
      }),
    )
  })

  it.each(['', 'abc', '0-g1-1', '00000000-x1-1', '00000000-p1-1', '00000000-g1-1-MQ', '00000000-g-1-1'])(
    'is not %j',
    (text) => {
      expect(parseEventId(text)).toBeUndefined()
    },
  )
})
