import { expect, it } from 'vitest'
import { EventRing } from './event-ring.ts'

const scope = { kind: 'workload', workloads: [], groups: [] } as const

function fill(ring: EventRing, count: number): void {
  for (let index = 0; index < count; index += 1) ring.add(scope, index)
}

it('what came after an id is known as long as all of it is kept', () => {
  const ring = new EventRing('r', { events: 3, bytes: 1_000 })
  fill(ring, 5)
  expect(
    ['r-1', 'r-2', 'r-4', 'r-5', 'r-6', 's-4', 'r-x', ''].map((id) => ring.after(id)?.map((event) => event.number)),
  ).toEqual([undefined, [3, 4, 5], [5], [], undefined, undefined, undefined, undefined])
  expect(ring.lastId).toBe('r-5')
})

it('an empty ring knows that nothing has happened', () => {
  expect(new EventRing('r').after('r-0')).toEqual([])
})

it('events above the limit of bytes are forgotten, the oldest first', () => {
  const ring = new EventRing('r', { events: 100, bytes: 100 })
  fill(ring, 10)
  expect(ring.after('r-0')).toBeUndefined()
  expect(ring.after('r-9')).toHaveLength(1)
})
