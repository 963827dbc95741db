/** `npm run check`: what can be judged without running the program. One line per step, the output of failing ones. */
import { packageCommand, run, seconds } from './commands.mjs'
import { prepare } from './prepare.mjs'
import { isMainModule } from './repository.mjs'

/** The longest first, so that two at a time end together. */
const steps = [
  { name: 'lint', package: 'oxlint', args: ['--type-aware', '--deny-warnings'] },
  { name: 'types', package: 'typescript', args: ['-p', '.'] },
  { name: 'unused code', package: 'knip', args: ['--no-progress', '--no-config-hints'] },
  { name: 'format', package: 'oxfmt', args: ['--check', '.'] },
]
const parallel = 2

/** Runs all steps and returns how many passed and failed. */
export async function check() {
  const waiting = [...steps]
  const counts = { passed: 0, failed: 0 }
  const work = async () => {
    for (let step = waiting.shift(); step; step = waiting.shift()) {
      const { code, output, durationMs } = await run(packageCommand(step.package, ...step.args), { endsWithUs: true })
      counts[code === 0 ? 'passed' : 'failed']++
      console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${step.name} (${seconds(durationMs)})`)
      if (code !== 0) console.log(output.trimEnd().replace(/^/gm, '  '))
    }
  }
  await Promise.all(Array.from({ length: parallel }, work))
  return counts
}

if (isMainModule(import.meta.url)) {
  try {
    await prepare({ build: false })
    const { failed } = await check()
    process.exitCode = failed === 0 ? 0 : 1
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
