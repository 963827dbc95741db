import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { packageLimits } from './package-limits.ts'

/** A JSON object from a file that a tool wrote; undefined when there is none. */
export async function readJsonObject(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    if ((await stat(path)).size > packageLimits.metadataBytes) return undefined
    return asRecord(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return undefined
  }
}

/** A JSON value from text; undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The value as object; undefined when it is none. */
export function asRecord(value: unknown): Record<string, unknown> | undefined {
  return isRecord(value) ? value : undefined
}

/** Whether there is a file that we can read. */
export async function isReadable(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK)
    return true
  } catch {
    return false
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
