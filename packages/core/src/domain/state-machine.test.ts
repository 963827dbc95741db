import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextStatus, statusEvents, workloadStatuses, type StatusEvent, type WorkloadStatus } from './state-machine.ts'

const anyEvents = fc.array(fc.constantFrom(...statusEvents), { maxLength: 30 })

describe('the table of moves', () => {
  it('pins the status names that tools read', () => {
    expect(workloadStatuses).toEqual([
      'running',
      'stopped',
      'error',
      'starting',
      'stopping',
      'unhealthy',
      'removing',
      'unknown',
      'unauthenticated',
      'auth_retrying',
      'policy_stopped',
    ])
  })

  it('can always be stopped and deleted, and launched unless it is being removed', () => {
    for (const status of workloadStatuses) {
      expect(nextStatus(status, 'delete')).toBe('removing')
      expect(nextStatus(status, 'stop')).toBe(status === 'removing' ? 'removing' : 'stopping')
      expect(nextStatus(status, 'launch')).toBe(status === 'removing' ? undefined : 'starting')
    }
  })

  it('leads back to running from wherever events lead', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        expect(wayToRunning(statusAfter(events))).toBeDefined()
      }),
    )
    for (const status of workloadStatuses) expect(wayToRunning(status)).toBeDefined()
  })

  it('leaves a removal only when whoever removes it is dead', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        const alive = events.filter((event) => event !== 'orphaned')
        expect(alive.reduce<WorkloadStatus>((status, event) => nextStatus(status, event) ?? status, 'removing')).toBe(
          'removing',
        )
      }),
    )
  })

  it('no probe and no server wakes what was stopped, failed or is being ended', () => {
    const found: StatusEvent[] = ['ready', 'exit', 'down', 'denied', 'delayed']
    for (const status of ['stopping', 'stopped', 'error', 'removing', 'policy_stopped', 'unknown'] as const) {
      expect(found.map((event) => nextStatus(status, event))).toEqual(found.map(() => undefined))
    }
  })
})

function statusAfter(events: readonly StatusEvent[]): WorkloadStatus {
  return events.reduce<WorkloadStatus>((status, event) => nextStatus(status, event) ?? status, 'starting')
}

/** The shortest sequence of events that leads to running. */
function wayToRunning(from: WorkloadStatus): StatusEvent[] | undefined {
  const ways = new Map<WorkloadStatus, StatusEvent[]>([[from, []]])
  for (const [status, way] of ways) {
    if (status === 'running') return way
    for (const event of statusEvents) {
      const next = nextStatus(status, event)
      if (next !== undefined && !ways.has(next)) ways.set(next, [...way, event])
    }
  }
  return undefined
}
