import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { packageLimits } from './package-limits.ts'

/** Names of the programs that an installed distribution brings; empty when it is not there. */
export async function readConsoleScripts(sitePackages: string, name: string): Promise<string[]> {
  const [plain = name] = name.split('[')
  const wanted = normalize(plain)
  for (const entry of await readdir(sitePackages)) {
    const match = /^(.+)-[^-]+\.dist-info$/.exec(entry)
    if (match === null || normalize(match[1] ?? '') !== wanted) continue
    const path = join(sitePackages, entry, 'entry_points.txt')
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || found.size > packageLimits.metadataBytes) return []
    return parseEntryPoints(await readFile(path, 'utf8'))
  }
  return []
}

/** Names in the `[console_scripts]` section of an `entry_points.txt`. Pure. */
export function parseEntryPoints(text: string): string[] {
  let section = ''
  const names: string[] = []
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim()
    const header = /^\[(.+)\]$/.exec(line)
    if (header !== null) section = header[1]?.trim() ?? ''
    const name = /^([\w.-]+)\s*=/.exec(line)?.[1]
    if (section === 'console_scripts' && name !== undefined) names.push(name)
  }
  return names
}

/** PEP 503. */
function normalize(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-')
}
