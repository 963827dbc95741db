import { limits } from '../limits.ts'

/** What a remote server says about itself (SEP-2127). Nobody has proven it. */
export interface ServerCard {
  /** As in `io.example/notes`. */
  name: string
  title?: string
  version: string
  /** One line. */
  description: string
}

/** A server card out of what a server sent; undefined unless it is one of a schema of server cards. */
export function parseServerCard(text: string): ServerCard | undefined {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch {
    return undefined
  }
  const schema = isRecord(raw) ? raw['$schema'] : undefined
  return typeof schema === 'string' && schemaForm.test(schema) ? serverCardOf(raw) : undefined
}

/**
 * The same of a value that was read before: what is shown has no control characters, and no more characters than the schema
 * allows. Undefined without a name, a version and a description.
 */
export function serverCardOf(raw: unknown): ServerCard | undefined {
  if (!isRecord(raw)) return undefined
  const { name } = raw
  if (typeof name !== 'string' || name.length > limits.cardNameLength || !nameForm.test(name)) return undefined
  const title = lineOf(raw['title'], limits.cardTextLength)
  const version = lineOf(raw['version'], limits.cardVersionLength)
  const description = lineOf(raw['description'], limits.cardTextLength)
  if (version === undefined || description === undefined) return undefined
  return { name, ...(title === undefined ? {} : { title }), version, description }
}

/** Characters that are not seen turn text around, or are halves of others: they go too. */
function lineOf(value: unknown, length: number): string | undefined {
  if (typeof value !== 'string') return undefined
  const shown = value.replace(/[\p{C}\p{Z}]+/gu, ' ').trim()
  const line = Array.from(shown).slice(0, length).join('').trim()
  return line === '' ? undefined : line
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const schemaForm = /^https:\/\/static\.modelcontextprotocol\.io\/schemas\/v\d{1,4}\/server-card\.schema\.json$/
const nameForm = /^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/
