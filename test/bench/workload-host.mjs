// Several workloads supervised in one process, which the product does not do: bundled from the product's own sources by
// memory-section.mjs, to know what that would save. Usage: node workload-host.js NAME… ; ends on SIGTERM.

import { setMaxListeners } from 'node:events'
import { createContainer } from '../../apps/thv/src/container.ts'
import { superviseHere } from '../../apps/thv/src/supervise-here.ts'

const end = new AbortController()
setMaxListeners(0, end.signal)
process.once('SIGTERM', () => end.abort(new Error('received SIGTERM')))

const output = { note: (text) => process.stderr.write(`${text}\n`) }
const context = { container: createContainer(), output, signal: end.signal, debug: false }
await Promise.all(process.argv.slice(2).map((name) => superviseHere(context, name, () => {})))
