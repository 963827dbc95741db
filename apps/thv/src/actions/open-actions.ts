import { startServer, ThvError, withTimeLimit, type ServerRecord } from '@thv/core'
import { buildInfo } from '../build-info.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption } from '../options.ts'
import { actionLimits } from './action-limits.ts'
import { createLocalActions } from './local-actions.ts'
import { preferServer } from './prefer-server.ts'
import { createServerActions } from './server-actions.ts'
import type { WorkloadActions } from './workload-actions.ts'

const namesServer = 'TOOLHIVE_API_URL'
const noServer = 'THV_NO_SERVER'

/**
 * Who does what a command wants: the server that `TOOLHIVE_API_URL` names, nobody else; otherwise the user's server if it
 * is of this version and answers at once, and this process where it does not; otherwise this process. `--auto-start` makes
 * sure that the user's server runs. `THV_NO_SERVER=1`: this process.
 */
export async function openActions(context: CommandContext, input: CommandInput): Promise<WorkloadActions> {
  const { container, signal } = context
  const local = createLocalActions(container)
  const named = container.environment[namesServer] ?? ''
  const isAlone = ['1', 'true'].includes(container.environment[noServer] ?? '')
  const startsOne = flagOption(input, 'autoStart')
  if (startsOne && (named !== '' || isAlone)) throw contradiction(isAlone ? noServer : namesServer)
  if (isAlone) return local
  if (named !== '') return await namedServer(context, named)
  if (startsOne) await startServer(await container.serverControl(), { withDocument: false }, signal)
  const record = await findServer(context)
  if (record === undefined) return local
  const { createApiClient } = await import('@thv/client')
  const client = createApiClient({ url: record.url, timeoutMs: actionLimits.callMs })
  const patient = createApiClient({ url: record.url, timeoutMs: actionLimits.waitSeconds * 1000 + actionLimits.callMs })
  return preferServer(createServerActions({ ...client, operations: patient.operations }), local)
}

/** Tells a user who has named a server that a command is not for it. */
export function tellIsLocal({ container, output }: CommandContext, command: string): void {
  const named = container.environment[namesServer] ?? ''
  if (named !== '') output.note(`note: '${command}' works on this machine, and does not ask ${namesServer}`)
}

async function namedServer({ container, output }: CommandContext, url: string): Promise<WorkloadActions> {
  const { createApiClient, resolveApiTimeout } = await import('@thv/client')
  const warn = (message: string): void => output.note(`warning: ${message}`)
  return createServerActions(
    createApiClient({ url, timeoutMs: resolveApiTimeout(container.environment['TOOLHIVE_API_TIMEOUT'], warn) }),
  )
}

/** The user's server, if it is of use to this command. */
async function findServer({ container, signal }: CommandContext): Promise<ServerRecord | undefined> {
  const { records, probe } = await container.discovery()
  try {
    const read = await records.read()
    if (read.kind !== 'record' || !(await isOurKind(read.record, container))) return undefined
    const bounded = withTimeLimit(signal, actionLimits.lookMs)
    return (await probe(read.record, bounded)).verified ? read.record : undefined
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}

/** Of this version, and with the same workloads. */
async function isOurKind({ thv }: ServerRecord, container: CommandContext['container']): Promise<boolean> {
  return thv?.version === buildInfo.version && thv.data === (await container.directories()).data
}

function contradiction(variable: string): ThvError {
  return new ThvError('invalid-flag-combination', `--auto-start contradicts ${variable}`, {
    hint: `leave the flag out, or take ${variable} out of the environment`,
  })
}
