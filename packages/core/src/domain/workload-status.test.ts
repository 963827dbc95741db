import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assessStatus,
  isListedByDefault,
  isOwned,
  nextStatus,
  workloadStatuses,
  type StatusEvent,
  type StatusRecord,
  type WorkloadStatus,
} from './workload-status.ts'

const events: StatusEvent[] = ['launch', 'ready', 'exit', 'fail', 'stop', 'stopped', 'delete']

function record(status: WorkloadStatus, context?: string): StatusRecord {
  const base = { status, created_at: 'c', updated_at: 'u', process_id: 1 }
  return context === undefined ? base : { ...base, status_context: context }
}

describe('the transition table', () => {
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

  it('never leaves removing, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...events), { maxLength: 20 }), (sequence) => {
        let status: WorkloadStatus = 'removing'
        for (const event of sequence) status = nextStatus(status, event) ?? status
        expect(status).toBe('removing')
      }),
    )
  })

  it('reaches running from every state that is not being removed', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...events), { maxLength: 20 }), (sequence) => {
        let status: WorkloadStatus = 'starting'
        for (const event of sequence) status = nextStatus(status, event) ?? status
        if (status === 'removing') return
        expect(nextStatus(nextStatus(status, 'launch')!, 'ready')).toBe('running')
      }),
    )
  })

  it('a server that becomes ready while it is being stopped does not turn running', () => {
    expect(nextStatus('stopping', 'ready')).toBeUndefined()
    expect(nextStatus('stopping', 'exit')).toBeUndefined()
    expect(nextStatus('stopped', 'ready')).toBeUndefined()
  })
})

describe('assessing', () => {
  it('never claims an active status without a living owner', () => {
    for (const status of workloadStatuses) {
      const seen = assessStatus('a', record(status), false).status
      expect(['running', 'starting', 'stopping', 'removing', 'auth_retrying', 'unauthenticated']).not.toContain(seen)
    }
  })

  it('repeats the file while the owner lives', () => {
    for (const status of workloadStatuses) {
      expect(assessStatus('a', record(status, 'why'), true)).toEqual({ status, context: 'why' })
    }
  })

  it('tells how an interrupted step ended', () => {
    expect(assessStatus('a', record('starting'), false)).toEqual({
      status: 'error',
      context: 'the start was interrupted: its process is gone',
    })
    expect(assessStatus('a', record('stopping'), false).status).toBe('stopped')
    // No guard ends a container with its supervisor.
    const server = { container: 'f00', engine: '/x.sock' }
    expect(assessStatus('a', { ...record('stopping'), thv: { server } }, false)).toEqual({
      status: 'error',
      context: "the stop was interrupted, and the container may still run; run 'thv stop' again",
    })
    expect(assessStatus('a', record('removing'), false).status).toBe('error')
    expect(assessStatus('a', record('unhealthy', 'said so'), false)).toEqual({
      status: 'unhealthy',
      context: 'said so',
    })
  })

  it('hides only what was stopped on purpose', () => {
    const hidden = workloadStatuses.filter((status) => !isListedByDefault(status))
    expect(hidden).toEqual(['stopped', 'policy_stopped'])
    expect(workloadStatuses.filter((status) => !isOwned(status))).toEqual([
      'stopped',
      'error',
      'unknown',
      'policy_stopped',
    ])
  })
})
