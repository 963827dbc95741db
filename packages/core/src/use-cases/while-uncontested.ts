import type { StatusRecord } from '../domain/workload-status.ts'
import { ThvError } from '../errors.ts'
import type { ChangeStatusDeps } from './change-status.ts'

/**
 * Does something to a workload on behalf of a process that others must not end (`shared`), and
 * aborts it when another command asks for the end of the workload while this process owns it.
 */
export async function whileUncontested<T>(
  deps: ChangeStatusDeps,
  name: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const contested = new AbortController()
  const done = new AbortController()
  const self = await deps.processes.self()
  const look = async (): Promise<void> => {
    // What cannot be read now is looked at after its next change.
    const record = await deps.statuses.read(name).catch(() => undefined)
    if (record !== undefined && isEnding(record) && record.thv?.owner?.pid === self.pid) contested.abort(ended(name))
  }
  deps.statuses.watch(name, () => void look(), AbortSignal.any([signal, done.signal]))
  try {
    return await work(AbortSignal.any([signal, contested.signal]))
  } finally {
    done.abort()
  }
}

/** The same, for a process that does more than one workload's work: others ask it to let go and never end it. */
export function asShared<Deps extends ChangeStatusDeps>(deps: Deps): Deps {
  const { processes } = deps
  return { ...deps, processes: { ...processes, self: async () => ({ ...(await processes.self()), shared: true }) } }
}

function isEnding({ status }: StatusRecord): boolean {
  return status === 'stopping' || status === 'removing'
}

function ended(name: string): ThvError {
  return new ThvError('cancelled', `another command has stopped or removed '${name}'`, {
    hint: 'look at the workload, and try again',
  })
}
