// `npm run bench -- [--quick] [--only load,start,command,api,data-plane,soak,memory,isolation] [--minutes 10]
// [--image node:24-alpine] [--no-build]`: thv beside its peers, in one run. The last five sections run only when they are
// named; --minutes is the length of the soak, --image one with Node for the rows of containers.

import { existsSync } from 'node:fs'
import { runBench } from '../test/bench/bench.mjs'

const preparation = new URL('prepare.mjs', import.meta.url)
const argv = process.argv.slice(2)

try {
  if (!argv.includes('--no-build')) await buildProduct()
  await runBench(argv)
  // Output pipes of programs that were ended may linger; the figures are out, so nothing is left to wait for.
  process.exit(0)
} catch (error) {
  process.stderr.write(`bench: ${error.stack}\n`)
  process.exit(1)
}

/** The bench measures what is built, but a build that fails must not keep the peers from being measured. */
async function buildProduct() {
  if (!existsSync(preparation)) return
  try {
    const { prepare } = await import(preparation.href)
    await prepare({ build: true })
  } catch (error) {
    const [reason] = error.message.split('\n')
    process.stderr.write(`bench: going on without a fresh build: ${reason}\n`)
  }
}
