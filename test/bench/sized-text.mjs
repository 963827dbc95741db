// Text of a wanted size, as tools return it: lines, with quotes and line ends that JSON must escape. Text without them
// would flatter every program that looks at strings.

const LINE = 'The quick brown fox jumps over the "lazy" dog and writes it down in line 42.\n'
const texts = new Map()

/** A text of so many characters; always the same one for the same size. */
export function sizedText(size) {
  let text = texts.get(size)
  if (text === undefined) {
    text = LINE.repeat(Math.ceil(size / LINE.length)).slice(0, size)
    texts.set(size, text)
  }
  return text
}
