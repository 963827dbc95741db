import type { Dirent } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { assertWorkloadName, limits, systemCodeOf, type StateListing } from '@thv/core'
import { stateError } from './state-error.ts'

const suffix = '.json'

/** What the files of a directory are named after. */
interface Naming {
  /** One word for reports. */
  what: string
  assertName: (name: string) => void
}

const workloads: Naming = { what: 'workload', assertName: assertWorkloadName }

/**
 * The names (of workloads by default) that have a `<name>.json` in a directory, sorted.
 * Links, directories and names that nothing of the kind can have are passed over and reported;
 * locks, temporary files and everything else that is not `.json` are nobody's concern.
 */
export async function listStateFiles(directory: string, naming: Naming = workloads): Promise<StateListing> {
  const listing: StateListing = { names: [], problems: [] }
  try {
    let seen = 0
    for await (const entry of await opendir(directory)) {
      if (!entry.name.endsWith(suffix)) continue
      seen += 1
      if (seen > limits.stateEntries) {
        listing.problems.push({
          file: '*.json',
          reason: `more than ${limits.stateEntries} files; the rest is left out`,
        })
        break
      }
      sortIn(entry, naming, listing)
    }
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw stateError(error, directory, 'list')
  }
  listing.names.sort()
  listing.problems.sort((a, b) => (a.file < b.file ? -1 : 1))
  return listing
}

function sortIn(entry: Dirent, naming: Naming, listing: StateListing): void {
  const name = entry.name.slice(0, -suffix.length)
  const reason = problemOf(entry, name, naming)
  if (reason === undefined) listing.names.push(name)
  else listing.problems.push({ file: entry.name.replace(/[^\x20-\x7e]/g, '?'), reason })
}

function problemOf(entry: Dirent, name: string, naming: Naming): string | undefined {
  if (entry.isSymbolicLink()) return 'it is a symbolic link'
  // Some file systems do not say what an entry is; the read finds out.
  const knownOther = entry.isDirectory() || entry.isFIFO() || entry.isSocket() || entry.isBlockDevice()
  if (knownOther || entry.isCharacterDevice()) return 'it is not a regular file'
  try {
    naming.assertName(name)
    return undefined
  } catch {
    return `it is not named like a ${naming.what}`
  }
}
