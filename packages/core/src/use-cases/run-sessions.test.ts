import { expect, it } from 'vitest'
import { createFakeMachine } from '../fakes/fake-deps.ts'
import type { RunRequest } from './run-request.ts'
import { runWorkload } from './run-workload.ts'

const never = new AbortController().signal
const quiet = (): void => {}
const request = (more: Partial<RunRequest>): { request: RunRequest } => ({
  request: { source: 'npx://pkg', args: [], environment: {}, labels: {}, ...more },
})

it('saves what clients get of sessions and versions, and nothing of defaults', async () => {
  const machine = createFakeMachine()
  const run = async (more: Partial<RunRequest>): Promise<object> => {
    const config = await runWorkload(machine.deps, request(more), quiet, never)
    const { stateless, session_ttl, strict_protocol_validation } = config
    return { stateless, session_ttl, strict_protocol_validation }
  }
  const none = { stateless: undefined, session_ttl: undefined, strict_protocol_validation: undefined }
  expect(await run({ name: 'a', stateless: true, sessionTtl: '0s' })).toEqual({ ...none, stateless: true })
  const given = { sessionTtl: '90m', strictProtocolValidation: true }
  expect(await run({ name: 'b', ...given })).toEqual({
    ...none,
    session_ttl: '90m',
    strict_protocol_validation: true,
  })
  const off = { stateless: false, sessionTtl: '0', strictProtocolValidation: false }
  expect(await run({ name: 'c', ...off })).toEqual(none)
})
