import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { statusEvents, workloadStatuses } from '../domain/state-machine.ts'
import { isReasonCode, isReasonOf, reasonOfStatus, statusReasons } from '../domain/status-reason.ts'
import { assessStatus, type StatusRecord } from '../domain/workload-status.ts'
import { applyEvent, firstRecord } from './change-status.ts'

const reasonCodes = Object.keys(statusReasons).filter(isReasonCode)
const start = firstRecord(new Date(0), { owner: { pid: 1, started: 'a' } })

describe('reasons', () => {
  it('belong to the status after any events, with a sentence and a time', () => {
    const withReason = fc.record({
      event: fc.constantFrom(...statusEvents),
      reason: fc.option(fc.constantFrom(...reasonCodes), { nil: undefined }),
      context: fc.option(fc.string(), { nil: undefined }),
    })
    fc.assert(
      fc.property(fc.array(withReason, { maxLength: 30 }), fc.boolean(), (steps, ownerAlive) => {
        let record: StatusRecord = start
        for (const [index, { event, reason, context }] of steps.entries()) {
          const more = { ...(reason === undefined ? {} : { reason }), ...(context === undefined ? {} : { context }) }
          record = applyEvent(record, event, new Date(index + 1), more) ?? record
        }
        const written = record.thv?.reason
        expect(written !== undefined && isReasonOf(written, record.status)).toBe(true)
        const seen = assessStatus('a', record, ownerAlive)
        expect(isReasonOf(seen.reason, seen.status)).toBe(true)
        expect(statusReasons[seen.reason].says).not.toBe('')
        expect(Date.parse(seen.since)).not.toBeNaN()
      }),
    )
  })

  it('exist for records that another program wrote', () => {
    for (const status of workloadStatuses) expect(isReasonOf(reasonOfStatus[status], status)).toBe(true)
  })

  it('each stand with a status, and say what can be done unless all is well', () => {
    for (const code of reasonCodes) {
      expect(statusReasons[code].statuses.length).toBeGreaterThan(0)
      if (code !== 'serving') expect(statusReasons[code].todo).not.toBe('')
    }
  })

  it('move the time only with the status, and keep the last error after it has passed', () => {
    const down = applyEvent(start, 'down', new Date(1000), { reason: 'remote-dns', context: 'no such name' })!
    const still = applyEvent(down, 'down', new Date(2000), { reason: 'remote-refused', context: 'refused' })!
    expect([still.thv?.since, still.thv?.reason]).toEqual([new Date(1000).toISOString(), 'remote-refused'])
    const back = applyEvent(still, 'ready', new Date(3000))!
    expect(back).toMatchObject({
      status: 'running',
      thv: { reason: 'serving', last_error: { at: new Date(2000).toISOString(), message: 'refused' } },
    })
    expect(back.status_context).toBeUndefined()
  })
})
