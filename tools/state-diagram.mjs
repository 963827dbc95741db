/** Writes the state diagram and the table of reasons into docs/remote.md, as the sources have them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { isMainModule, root } from './repository.mjs'

const source = `
import { nextStatus, statusEvents, statusReasons, workloadStatuses } from './packages/core/src/index.ts'
const moves = workloadStatuses.flatMap((from) =>
  statusEvents.map((event) => ({ from, event, to: nextStatus(from, event) })).filter(({ to }) => to !== undefined),
)
process.stdout.write(JSON.stringify({ moves, reasons: statusReasons }))
`

/** The page that holds them. */
export const pagePath = join(root, 'docs', 'remote.md')

/** The page with both parts made anew; everything outside of the two markers stays. */
export function renderPage(text = readFileSync(pagePath, 'utf8')) {
  const { moves, reasons } = readTables()
  return replacePart(replacePart(text, 'diagram', diagram(moves)), 'reasons', table(reasons))
}

function readTables() {
  const args = ['--conditions=@thv/source', '--import', 'tsx', '--input-type=module', '--eval', source]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    windowsHide: true,
  })
  if (status !== 0) throw new Error(`the tables cannot be read: ${stderr}`)
  return JSON.parse(stdout)
}

/** Moves to the same state say nothing in a picture, and every state may be stopped, removed and launched. */
function diagram(moves) {
  const everywhere = new Set(['stop', 'delete', 'launch'])
  const edges = new Map()
  for (const { from, event, to } of moves) {
    if (from === to || everywhere.has(event)) continue
    const edge = `${from} --> ${to}`
    edges.set(edge, [...(edges.get(edge) ?? []), event])
  }
  const general = [
    '  [*] --> starting : launch',
    '  any_state --> stopping : stop',
    '  any_state --> removing : delete',
    '  any_but_removing --> starting : launch',
  ]
  const lines = [...edges].map(([edge, events]) => `  ${edge} : ${events.join(', ')}`)
  return ['```mermaid', 'stateDiagram-v2', ...general, ...lines, '```'].join('\n')
}

function table(reasons) {
  const rows = Object.entries(reasons).map(([code, { statuses, says }]) => [
    `\`${code}\``,
    statuses.map((status) => `\`${status}\``).join(', '),
    says,
  ])
  const all = [['Reason', 'Status', 'Means'], ...rows]
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column].length)))
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  return [line(all[0]), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n')
}

function replacePart(text, name, part) {
  const [begin, end] = [`<!-- ${name}: made by tools/state-diagram.mjs -->`, `<!-- end of ${name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/remote.md has no part "${name}"`)
  return `${text.slice(0, from)}${begin}\n\n${part}\n\n${text.slice(to)}`
}

if (isMainModule(import.meta.url)) {
  writeFileSync(pagePath, renderPage())
  console.log('docs/remote.md')
}
