import stringWidth from 'string-width'

/** Three blanks between columns, as kubectl and ToolHive have it; the last column is never padded. */
const gap = '   '

/** Renders rows as aligned columns without borders. Widths count what a terminal shows, not code units. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => stringWidth(row[column] ?? ''))))
  return all.map((row) => renderRow(row, widths)).join('\n')
}

function renderRow(row: readonly string[], widths: readonly number[]): string {
  const cells = widths.map((width, column) => {
    const cell = row[column] ?? ''
    return column === widths.length - 1 ? cell : cell + ' '.repeat(width - stringWidth(cell))
  })
  return cells.join(gap).trimEnd()
}
