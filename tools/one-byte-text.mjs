/**
 * The same program without characters above U+00FF: they become escapes. One of them makes V8 keep the whole text of a
 * chunk with two bytes for each character, for as long as the program runs: a megabyte in every supervisor. Throws where
 * an escape would mean something else.
 */
export function toOneByteText(code) {
  const misread = /String\.raw`[^`]*[^\0-\xff]|\\[^\0-\xff]/.exec(code)
  if (misread !== null) {
    throw new Error(`a character above U+00FF cannot be escaped here: ${misread[0].slice(-60)}`)
  }
  return code.replaceAll(/[^\0-\xff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
