import { parseJsonObject, type JsonObject } from './parse-state-json.ts'

/**
 * Parses a JSON object that may have been damaged in the ways of spec/local 2.3:
 * control characters are stripped, surplus closing braces dropped, missing ones
 * added. Undefined when that does not make it one. Never throws.
 */
export function parseRepairedObject(text: string): JsonObject | undefined {
  const sound = parseJsonObject(text)
  if (sound !== undefined) return sound
  // Also inside strings, where JSON forbids them; blanks between tokens are no loss.
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  const clean = text.replace(/[\u0000-\u001f]/g, '')
  return parseJsonObject(clean) ?? parseJsonObject(balanceBraces(clean))
}

/** Drops closing braces without an opening one and adds those that are missing at the end. */
function balanceBraces(text: string): string {
  const kept: string[] = []
  let depth = 0
  let inString = false
  let escaped = false
  for (const character of text) {
    if (escaped) escaped = false
    else if (inString && character === '\\') escaped = true
    else if (character === '"') inString = !inString
    else if (!inString && character === '{') depth += 1
    else if (!inString && character === '}') {
      if (depth === 0) continue
      depth -= 1
    }
    kept.push(character)
  }
  return kept.join('') + '}'.repeat(depth)
}
