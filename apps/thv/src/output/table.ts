import { printable } from './style.ts'

/** Three blanks between columns, as kubectl and ToolHive have it; the last column is never padded. */
const gap = '   '

/** Columns a text takes on a terminal. */
type MeasureWidth = (text: string) => number

/**
 * Renders rows as aligned columns without borders. Widths count what a terminal shows, not code units. Control characters
 * and line breaks of a cell become visible.
 */
export async function renderTable(header: readonly string[], rows: readonly (readonly string[])[]): Promise<string> {
  const all = [header, ...rows].map((row) => row.map(visible))
  const measure = await chooseMeasure(all)
  const widths = header.map((_, column) => Math.max(...all.map((row) => measure(row[column] ?? ''))))
  return all.map((row) => renderRow(row, widths, measure)).join('\n')
}

function visible(cell: string): string {
  return printable(cell).replaceAll('\t', '\\x09').replaceAll('\n', '\\x0a')
}

/**
 * The library's expression for emoji costs 15 ms to compile (measured on Node 20),
 * a third of what a whole `thv list` takes, so it is loaded only for text that needs it.
 */
async function chooseMeasure(rows: readonly (readonly string[])[]): Promise<MeasureWidth> {
  const isPlain = rows.every((row) => row.every((cell) => /^[\x20-\x7e]*$/.test(cell)))
  if (isPlain) return (text) => text.length
  const { default: stringWidth } = await import('string-width')
  return (text) => stringWidth(text)
}

function renderRow(row: readonly string[], widths: readonly number[], measure: MeasureWidth): string {
  const cells = widths.map((width, column) => {
    const cell = row[column] ?? ''
    return column === widths.length - 1 ? cell : cell + ' '.repeat(width - measure(cell))
  })
  return cells.join(gap).trimEnd()
}
