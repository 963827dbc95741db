import { isUtf8 } from 'node:buffer'
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { isJsonObject, parseJsonObject, type JsonObject } from './parse-state-json.ts'

/** What the secret file says when it is opened. */
export interface SecretContent {
  secrets: ReadonlyMap<string, string>
  /** Keys beside `secrets`, which another version may have written. */
  others: JsonObject
}

const cipher = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/** The fewest bytes that can be a sealed text. */
export const fewestSealedBytes = nonceBytes + tagBytes

/**
 * Seals secrets as ToolHive's file (spec/local 9.2): AES-256-GCM, nonce | ciphertext | tag, the key the SHA-256 of the
 * password. That key is as good as the password: one of few words can be guessed by whoever has the file.
 */
export function sealSecrets({ secrets, others }: SecretContent, password: string): Buffer {
  // In order, as Go writes maps.
  const ordered = Object.fromEntries([...secrets].sort(([a], [b]) => (a < b ? -1 : 1)))
  const nonce = randomBytes(nonceBytes)
  const sealing = createCipheriv(cipher, keyOf(password), nonce, { authTagLength: tagBytes })
  const text = JSON.stringify({ ...others, secrets: ordered })
  return Buffer.concat([nonce, sealing.update(text, 'utf8'), sealing.final(), sealing.getAuthTag()])
}

/** Opens what {@link sealSecrets} or ToolHive sealed. `denied`: another password, or changed bytes; nobody can tell which. */
export function openSecrets(sealed: Buffer, password: string): SecretContent | 'denied' | 'foreign' {
  const text = decrypt(sealed, password)
  return text === undefined ? 'denied' : (parseContent(text) ?? 'foreign')
}

function decrypt(sealed: Buffer, password: string): Buffer | undefined {
  const opening = createDecipheriv(cipher, keyOf(password), sealed.subarray(0, nonceBytes), { authTagLength: tagBytes })
  opening.setAuthTag(sealed.subarray(sealed.length - tagBytes))
  const text = opening.update(sealed.subarray(nonceBytes, sealed.length - tagBytes))
  try {
    return Buffer.concat([text, opening.final()])
  } catch {
    return undefined
  }
}

function parseContent(text: Buffer): SecretContent | undefined {
  const { secrets, ...others } = parseJsonObject(decodeExactly(text) ?? '') ?? {}
  if (secrets === null) return { secrets: new Map(), others }
  if (!isJsonObject(secrets)) return undefined
  const entries = Object.entries(secrets).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return entries.length === Object.keys(secrets).length ? { secrets: new Map(entries), others } : undefined
}

/** Undefined for what is not UTF-8: written again, it would be something else. */
function decodeExactly(text: Buffer): string | undefined {
  return isUtf8(text) ? text.toString('utf8') : undefined
}

function keyOf(password: string): Buffer {
  return createHash('sha256').update(password, 'utf8').digest()
}
