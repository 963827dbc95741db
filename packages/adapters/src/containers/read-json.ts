/** A JSON object as parsed, nothing known about it. */
export type JsonObject = Record<string, unknown>

/** Whether a value is an object and not a list. */
export function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A member that is an object; an empty one when it is not. */
export function recordIn(value: unknown, key: string): JsonObject {
  const found = isRecord(value) ? value[key] : undefined
  return isRecord(found) ? found : {}
}

/** A member that is a text; undefined when it is not. */
export function textIn(value: unknown, key: string): string | undefined {
  const found = isRecord(value) ? value[key] : undefined
  return typeof found === 'string' ? found : undefined
}

/** A member that is a list; an empty one when it is not. */
export function listIn(value: unknown, key: string): unknown[] {
  const found = isRecord(value) ? value[key] : undefined
  return Array.isArray(found) ? found : []
}

/** A member that is a list, its texts. */
export function textsIn(value: unknown, key: string): string[] {
  return listIn(value, key).filter((one) => typeof one === 'string')
}

/** A map of texts; what is no text is left out. */
export function textsOf(value: unknown): Record<string, string> {
  const entries = isRecord(value) ? Object.entries(value) : []
  return Object.fromEntries(entries.flatMap(([key, text]) => (typeof text === 'string' ? [[key, text]] : [])))
}
