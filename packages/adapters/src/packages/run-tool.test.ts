import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { removeTemporaryDirectories, temporaryDirectory } from './fixtures/temporary.ts'
import { packageLimits } from './package-limits.ts'
import { runTool, type ToolCall } from './run-tool.ts'

removeTemporaryDirectories()
const never = new AbortController().signal

function call(program: string, more: Partial<ToolCall> = {}): ToolCall {
  return {
    file: process.execPath,
    args: ['-e', program],
    environment: { KEPT: 'yes', GONE: undefined },
    workingDirectory: '/',
    withinMs: 10_000,
    ...more,
  }
}

/** A tool with a child in its group that holds the output open; writes both pids to a file. */
function family(directory: string): string {
  return `const { spawn } = require('node:child_process'); const fs = require('node:fs')
    const child = spawn('/bin/sleep', ['60'], { stdio: 'inherit' })
    fs.writeFileSync('${directory}/next', process.pid + ' ' + child.pid); fs.renameSync('${directory}/next', '${directory}/pids'); setInterval(() => {}, 1000)`
}

async function state(pid: string): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') X')
  return text.slice(text.lastIndexOf(')') + 2)[0] ?? 'X'
}

describe('a tool', () => {
  it('gets its input and environment, and gives its output and code', async () => {
    const program = `process.stdin.pipe(process.stdout); console.error(process.env.KEPT, process.env.GONE, process.env.HOME); process.exitCode = 3`
    expect(await runTool(call(program, { input: 'hello' }), never)).toEqual({
      code: 3,
      output: 'hello',
      errors: 'yes undefined undefined\n',
      late: false,
    })
  })

  it('that prints without end is kept by its end', async () => {
    const program = `const line = 'x'.repeat(1024 * 1024); for (let i = 0; i < 12; i++) process.stdout.write(line); process.stdout.write('END')`
    const { output } = await runTool(call(program), never)
    expect(output.length).toBeLessThanOrEqual(packageLimits.toolOutputBytes)
    expect(output.endsWith('END')).toBe(true)
  })

  it('that is missing is a missing tool', async () => {
    await expect(runTool(call('', { file: '/no/such/tool' }), never)).rejects.toMatchObject({
      code: 'package-tool-missing',
    })
  })

  it.runIf(process.platform === 'linux')('is killed with its children when its time is over', async () => {
    const directory = await temporaryDirectory()
    const result = await runTool(call(family(directory), { withinMs: 800 }), never)
    expect(result).toMatchObject({ code: null, late: true })
    const pids = (await readFile(join(directory, 'pids'), 'utf8')).split(' ')
    for (const pid of pids) await expect.poll(async () => await state(pid)).toMatch(/[XZ]/)
  })

  it.runIf(process.platform === 'linux')('is killed with its children when nobody wants it any more', async () => {
    const directory = await temporaryDirectory()
    const controller = new AbortController()
    const running = runTool(call(family(directory)), controller.signal)
    const failure = running.catch((error: unknown) => error)
    await expect.poll(async () => await readFile(join(directory, 'pids'), 'utf8').catch(() => '')).not.toBe('')
    controller.abort(new Error('enough'))
    expect(await failure).toMatchObject({ message: 'enough' })
    const pids = (await readFile(join(directory, 'pids'), 'utf8')).split(' ')
    for (const pid of pids) await expect.poll(async () => await state(pid)).toMatch(/[XZ]/)
  })
})
