// Figures of several rounds made one, and numbers made text.

/** The middle of the values that are there; `undefined` when there are none. */
export function median(values) {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function format(value, digits = 0) {
  return Number.isFinite(value) ? value.toFixed(digits) : '-'
}

/** A markdown table; every cell is text, columns are padded so that it also reads as plain text. */
export function renderTable(header, rows) {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => Math.max(3, ...lines.map((line) => line[column].length)))
  const render = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  return [render(header), rule, ...rows.map(render)].join('\n')
}

/** One goal beside its figure; a goal without a figure is neither met nor missed. */
export function judgeGoal({ goal, value, text, isMet }) {
  const isKnown = Number.isFinite(value)
  const verdict = isKnown ? (isMet(value) ? 'met' : 'missed') : 'not measured'
  return { goal, value: isKnown ? value : null, verdict, line: `- goal: ${goal}: ${isKnown ? text : '-'} (${verdict})` }
}
