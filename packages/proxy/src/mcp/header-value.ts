/** A header value without the optional white space around it (RFC 9110). */
export function trimHeader(value: string): string {
  let start = 0
  let end = value.length
  while (start < end && isBlank(value, start)) start += 1
  while (end > start && isBlank(value, end - 1)) end -= 1
  return value.slice(start, end)
}

/**
 * The text behind a mirrored header (`Mcp-Name`, `Mcp-Param-*`): as it stands, or decoded when it is
 * wrapped as `=?base64?…?=`. Undefined when what is wrapped is no canonical Base64 of UTF-8.
 */
export function decodeHeaderValue(value: string): string | undefined {
  if (!value.startsWith(opening) || !value.endsWith(closing)) return value
  const encoded = value.slice(opening.length, value.length - closing.length)
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return undefined
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** The header value for a text: as it stands where that is safe, otherwise wrapped. */
export function encodeHeaderValue(text: string): string {
  const isPlain = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/.test(text)
  if (isPlain && !(text.startsWith(opening) && text.endsWith(closing))) return text
  return `${opening}${Buffer.from(text, 'utf8').toString('base64')}${closing}`
}

const opening = '=?base64?'
const closing = '?='
const decoder = new TextDecoder('utf-8', { fatal: true })

function isBlank(value: string, at: number): boolean {
  const code = value.charCodeAt(at)
  return code === 0x20 || code === 0x09
}
