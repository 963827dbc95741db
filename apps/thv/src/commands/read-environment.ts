import { Diagnostics, limits, messageOf, parseEnvironmentFile, parseEnvironmentVariable, ThvError } from '@thv/core'
import type { UserFiles } from '../user-files.ts'

/** Where variables may come from; later ones win: directory, file, single values. */
export interface EnvironmentInput {
  directory: string | undefined
  file: string | undefined
  values: readonly string[]
  signal: AbortSignal
}

/** Collects the variables for a server. `invalid-argument` names every bad entry, never its value. */
export async function readEnvironment(files: UserFiles, input: EnvironmentInput): Promise<Record<string, string>> {
  // Without a prototype, or `__proto__` would set that instead of a variable.
  const variables: Record<string, string> = Object.create(null)
  if (input.directory !== undefined) {
    for (const file of await files.listVisible(input.directory))
      Object.assign(variables, await readFile(files, file, input.signal))
  }
  if (input.file !== undefined) Object.assign(variables, await readFile(files, input.file, input.signal))
  const problems = new Diagnostics()
  for (const text of input.values) {
    const entry = problems.collect('--env', () => parseEnvironmentVariable(text))
    if (entry !== undefined) variables[entry[0]] = entry[1]
  }
  problems.throwIfAny('invalid-argument', 'the environment cannot be used', 'write --env KEY=VALUE')
  return variables
}

async function readFile(files: UserFiles, file: string, signal: AbortSignal): Promise<Record<string, string>> {
  try {
    return parseEnvironmentFile(await files.readText(file, { maxBytes: limits.envFileBytes, signal }))
  } catch (error) {
    signal.throwIfAborted()
    throw new ThvError('invalid-argument', `environment file '${file}' cannot be used: ${messageOf(error)}`, {
      hint: 'write KEY=VALUE lines; lines that start with # are comments',
      cause: error,
    })
  }
}
