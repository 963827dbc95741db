import { describe, expect, it } from 'vitest'
import { workloadStatuses, type WorkloadStatus } from './state-machine.ts'
import { assessStatus, isListedByDefault, isOwned, type StatusRecord } from './workload-status.ts'

function record(status: WorkloadStatus, context?: string): StatusRecord {
  const base = { status, created_at: 'c', updated_at: 'u', process_id: 1 }
  return context === undefined ? base : { ...base, status_context: context }
}

describe('assessing', () => {
  it('never claims an active status without a living owner', () => {
    for (const status of workloadStatuses) {
      const seen = assessStatus('a', record(status), false).status
      expect(['running', 'starting', 'stopping', 'removing', 'auth_retrying', 'unauthenticated']).not.toContain(seen)
    }
  })

  it('repeats the file while the owner lives', () => {
    for (const status of workloadStatuses) {
      expect(assessStatus('a', record(status, 'why'), true)).toMatchObject({ status, context: 'why' })
    }
  })

  it('tells how an interrupted step ended', () => {
    expect(assessStatus('a', record('starting'), false)).toMatchObject({
      status: 'error',
      context: 'the start was interrupted: its process is gone',
    })
    expect(assessStatus('a', record('stopping'), false).status).toBe('stopped')
    // No guard ends a container with its supervisor.
    const server = { container: 'f00', engine: '/x.sock' }
    expect(assessStatus('a', { ...record('stopping'), thv: { server } }, false)).toMatchObject({
      status: 'error',
      reason: 'stop-interrupted',
      context: "the stop was interrupted, and the container may still run; run 'thv stop' again",
    })
    expect(assessStatus('a', record('removing'), false).status).toBe('error')
    expect(assessStatus('a', record('unhealthy', 'said so'), false)).toMatchObject({
      status: 'unhealthy',
      context: 'said so',
    })
  })

  it('does not repeat what a dead supervisor last found out', () => {
    const dead = { ...record('unhealthy', 'connection refused'), thv: { owner: { pid: 1, started: 'a' } } }
    expect(assessStatus('a', dead, true)).toMatchObject({ context: 'connection refused' })
    expect(assessStatus('a', dead, false)).toMatchObject({ status: 'unhealthy', reason: 'supervisor-gone', since: 'u' })
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
