import { Diagnostics, limits, messageOf, parseEnvironmentFile, parseEnvironmentVariable, ThvError } from '@thv/core'
import type { UserFiles } from '../user-files.ts'

/** Where variables may come from; later ones win: directory, file, single values. */
export interface EnvironmentInput {
  directory: string | undefined
  file: string | undefined
  values: readonly string[]
}

/** Collects the variables for a server. `invalid-argument` names every bad entry, never its value. */
export async function readEnvironment(files: UserFiles, input: EnvironmentInput): Promise<Record<string, string>> {
  const variables: Record<string, string> = {}
  if (input.directory !== undefined) {
    for (const file of await files.listVisible(input.directory)) Object.assign(variables, await readFile(files, file))
  }
  if (input.file !== undefined) Object.assign(variables, await readFile(files, input.file))
  const problems = new Diagnostics()
  for (const text of input.values) {
    const entry = problems.collect('--env', () => parseEnvironmentVariable(text))
    if (entry !== undefined) variables[entry[0]] = entry[1]
  }
  problems.throwIfAny('invalid-argument', 'the environment cannot be used', 'write --env KEY=VALUE')
  return variables
}

async function readFile(files: UserFiles, file: string): Promise<Record<string, string>> {
  try {
    return parseEnvironmentFile(await files.readText(file, limits.envFileBytes))
  } catch (error) {
    throw new ThvError('invalid-argument', `environment file '${file}' cannot be used: ${messageOf(error)}`, {
      hint: 'write KEY=VALUE lines; lines that start with # are comments',
      cause: error,
    })
  }
}
