/** A JSON object as parsed, nothing known about it. */
export type JsonObject = Record<string, unknown>

// Drops a byte order mark, which Windows editors write; broken UTF-8 becomes U+FFFD.
const decoder = new TextDecoder('utf-8')

/** The text of a state file. */
export function decodeState(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

/** Parses text that should be a JSON object; undefined when it is not. Never throws. */
export function parseJsonObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Whether a value is an object and not a list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
