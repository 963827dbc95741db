/** Called for each member of an object: its key, and where the text of its value is. */
export type MemberVisitor = (key: string, start: number, end: number) => void

/** A piece of text to be replaced. */
export interface Splice {
  readonly start: number
  readonly end: number
  readonly text: string
}

/**
 * Finds the members of the object that begins at `at` without building values,
 * so that a message can be changed in one place and keep every other character:
 * numbers beyond 2^53, unknown members, escapes. The text must be valid JSON.
 * Duplicate keys are visited in order. Returns the index after the object.
 */
export function scanMembers(text: string, at: number, visit: MemberVisitor): number {
  let index = skipSpace(text, at + 1)
  while (text.charCodeAt(index) === quote) {
    const keyEnd = endOfString(text, index)
    const key = readKey(text, index, keyEnd)
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const end = endOfValue(text, start)
    visit(key, start, end)
    index = skipSpace(text, end)
    if (text.charCodeAt(index) === comma) index = skipSpace(text, index + 1)
  }
  return index + 1
}

/** The texts of the elements of the array that begins at `at`. The text must be valid JSON. */
export function sliceElements(text: string, at: number): string[] {
  const elements: string[] = []
  let index = skipSpace(text, at + 1)
  while (index < text.length && text.charCodeAt(index) !== closeBracket) {
    const end = endOfValue(text, index)
    elements.push(text.slice(index, end))
    index = skipSpace(text, end)
    if (text.charCodeAt(index) === comma) index = skipSpace(text, index + 1)
  }
  return elements
}

/** Where the value at a path of object keys is; the last of duplicate keys, as `JSON.parse` has it. */
export function findValue(
  text: string,
  at: number,
  path: readonly string[],
): { start: number; end: number } | undefined {
  let found: { start: number; end: number } | undefined
  let object = at
  for (const name of path) {
    if (text.charCodeAt(object) !== openBrace) return undefined
    found = undefined
    scanMembers(text, object, (key, start, end) => {
      if (key === name) found = { start, end }
    })
    if (found === undefined) return undefined
    object = (found as { start: number }).start
  }
  return found
}

/** The text with pieces replaced. Splices must not overlap; their order is free. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  const ordered = splices.length > 1 ? [...splices].sort((a, b) => a.start - b.start) : splices
  let result = ''
  let from = 0
  for (const splice of ordered) {
    result += text.slice(from, splice.start) + splice.text
    from = splice.end
  }
  return result + text.slice(from)
}

const quote = 0x22
const comma = 0x2c
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

function skipSpace(text: string, at: number): number {
  let index = at
  for (;;) {
    const code = text.charCodeAt(index)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return index
    index += 1
  }
}

function readKey(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1)
  // "\u0069d" is the key "id" to every JSON parser, so it must be to us.
  return raw.includes('\\') ? String(JSON.parse(text.slice(start, end))) : raw
}

function endOfString(text: string, start: number): number {
  let index = text.indexOf('"', start + 1)
  while (index !== -1 && isEscaped(text, index)) index = text.indexOf('"', index + 1)
  return index === -1 ? text.length : index + 1
}

function isEscaped(text: string, at: number): boolean {
  let index = at - 1
  while (text.charCodeAt(index) === backslash) index -= 1
  return (at - index) % 2 === 0
}

/** The index after the value that begins at `start`. The text must be valid JSON. */
export function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start)
  if (first === quote) return endOfString(text, start)
  if (first === openBrace || first === openBracket) return endOfNested(text, start)
  let index = start
  while (index < text.length && !endsScalar(text.charCodeAt(index))) index += 1
  return index
}

function endOfNested(text: string, start: number): number {
  // A depth counter instead of recursion: nesting depth is the peer's choice, our stack is not.
  let depth = 0
  let index = start
  while (index < text.length) {
    const code = text.charCodeAt(index)
    if (code === quote) {
      index = endOfString(text, index)
      continue
    }
    if (code === openBrace || code === openBracket) depth += 1
    else if (code === closeBrace || code === closeBracket) depth -= 1
    index += 1
    if (depth === 0) return index
  }
  return text.length
}

function endsScalar(code: number): boolean {
  return code === comma || code === closeBrace || code === closeBracket || code <= 0x20
}
