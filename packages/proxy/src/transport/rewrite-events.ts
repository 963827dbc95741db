/**
 * Changes the data of events in a text that holds whole events. An event whose data
 * stays is not touched; one that changes keeps its other lines and has its data on one.
 */
export function rewriteEvents(text: string, change: (data: string) => string): string {
  let result = ''
  let from = 0
  let event: Line[] = []
  for (const match of text.matchAll(anyLine)) {
    const [whole, content = ''] = match
    if (whole === '') break
    event.push({ content, whole })
    if (content !== '') continue
    result += rewriteEvent(event, change)
    event = []
    from = match.index + whole.length
  }
  return event.length === 0 ? result + text.slice(from) : result + rewriteEvent(event, change)
}

/** A line, and the same with its end. */
interface Line {
  readonly content: string
  readonly whole: string
}

const anyLine = /([^\r\n]*)(?:\r\n|\r|\n|$)/g

function rewriteEvent(lines: readonly Line[], change: (data: string) => string): string {
  const text = lines.map(({ whole }) => whole).join('')
  const pieces = lines.flatMap(({ content }) => dataOf(content) ?? [])
  if (pieces.length === 0) return text
  const data = pieces.join('\n')
  const changed = change(data)
  if (changed === data) return text
  // At the last one: a line that is taken out before a blank one could join two halves of a CRLF.
  const last = lines.findLastIndex(({ content }) => dataOf(content) !== undefined)
  return lines
    .map(({ content, whole }, index) => {
      if (dataOf(content) === undefined) return whole
      // Line ends between the tokens of JSON are space, and would end the line here.
      return index === last ? `data: ${changed.replaceAll(/[\r\n]/g, ' ')}${whole.slice(content.length)}` : ''
    })
    .join('')
}

/** The value of a `data` line; a byte order mark before the first one is skipped, as clients do. */
function dataOf(content: string): string | undefined {
  const line = content.startsWith('\uFEFF') ? content.slice(1) : content
  if (line === 'data') return ''
  if (!line.startsWith('data:')) return undefined
  return line.slice(line[5] === ' ' ? 6 : 5)
}
