import { isThvError, messageOf, ThvError } from '../errors.ts'
import { limits } from '../limits.ts'

/** The names for which the action failed, in the order given, with their errors; one failure does not stop the others. */
export async function forEachWorkload(
  names: readonly string[],
  action: (name: string) => Promise<void>,
  signal: AbortSignal,
): Promise<Map<string, unknown>> {
  const failures = new Map<string, unknown>()
  const queue = [...names]
  const workers = Array.from({ length: Math.min(limits.bulkParallel, queue.length) }, async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      try {
        signal.throwIfAborted()
        await action(name)
      } catch (error) {
        failures.set(name, error)
      }
    }
  })
  await Promise.all(workers)
  return new Map(names.filter((name) => failures.has(name)).map((name) => [name, failures.get(name)]))
}

/** Throws one error for all failures, if there are any: the only one as it is, or one that lists them. */
export function throwFailures(failures: ReadonlyMap<string, unknown>, summary: string): void {
  const [first] = failures.values()
  if (failures.size === 0) return
  if (failures.size === 1 && first instanceof Error) throw first
  const lines = [...failures].map(([name, error]) => `${name}: ${messageOf(error)}`)
  const code = isThvError(first) ? first.code : 'internal'
  throw new ThvError(code, `${summary}: ${lines.join('; ')}`, { hint: 'look at each, then try again', detail: lines })
}
