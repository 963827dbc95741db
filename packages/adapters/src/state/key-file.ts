import { rm, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf, type KeptPassword, type PasswordKeeper } from '@thv/core'
import { writeAtomically } from './atomic-write.ts'
import { distrustOf, makePrivateDirectory } from './private-directory.ts'
import { readStateFile } from './read-state-file.ts'
import { stateLimits } from './state-limits.ts'

/** Numbers of file systems that lie in memory: `statfs(2)`. */
const memoryFileSystems: ReadonlySet<number> = new Set([0x0102_1994, 0x8584_58f6])

/**
 * A file in memory, private to the user, where Linux has no keyring: it never reaches a disk, unless memory is swapped, and
 * is gone with the next start of the machine.
 *
 * @param directories where it may be, in order; those that do not lie in memory are passed over
 */
export function createKeyFile(directories: readonly string[]): PasswordKeeper {
  return {
    name: 'the key file in memory',
    read: async () => {
      let problem: string | undefined
      for (const directory of directories) {
        const found = await readIn(directory)
        if (found.password !== undefined) return found
        problem ??= found.problem
      }
      return problem === undefined ? {} : { problem }
    },
    keep: async (password) => {
      for (const directory of directories) if (await keepIn(directory, password)) return true
      return false
    },
    forget: async () => {
      const known = await Promise.all(directories.map(async (directory) => await forgetIn(directory)))
      return known.includes(true)
    },
  }
}

async function readIn(directory: string): Promise<KeptPassword> {
  try {
    const distrust = await distrustOf(directory)
    if (distrust !== undefined) return { problem: `in '${directory}' cannot be used: ${distrust}` }
    const found = await readStateFile(fileIn(directory), stateLimits.keyFileBytes, 'private')
    if (found.kind === 'refused') return { problem: `in '${directory}' cannot be used: ${found.reason}` }
    const password = found.kind === 'absent' ? '' : found.bytes.toString('utf8')
    return password === '' ? {} : { password }
  } catch (error) {
    return { problem: `cannot be used: ${messageOf(error)}` }
  }
}

async function keepIn(directory: string, password: string): Promise<boolean> {
  try {
    // Of its parent: it may not be there yet, and what is made on a disk stays on it.
    const { type } = await statfs(dirname(directory))
    if (!memoryFileSystems.has(type)) return false
    await makePrivateDirectory(directory)
    await writeAtomically(fileIn(directory), password)
    return (await readIn(directory)).password === password
  } catch {
    // Not there, somebody else's, or full: the next one may do.
    return false
  }
}

async function forgetIn(directory: string): Promise<boolean> {
  const { password } = await readIn(directory)
  if (password === undefined) return false
  await rm(fileIn(directory), { force: true }).catch(() => undefined)
  return (await readIn(directory)).password === undefined
}

function fileIn(directory: string): string {
  return join(directory, 'secrets-key')
}
