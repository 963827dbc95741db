import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { collect, root, type CommandResult } from './harness.ts'

const version = '4.32.5'
const place = join(root, 'node_modules/.cache/thv-test/schemathesis', version)

/** Installs Schemathesis from the Python index, unless it is there. Resolves to its program, or throws with the reason why not. */
export async function installSchemathesis(): Promise<string> {
  const program = join(place, 'bin/schemathesis')
  const done = join(place, 'complete')
  if (existsSync(done)) return program
  await rm(place, { recursive: true, force: true })
  await mkdir(join(place, '..'), { recursive: true })
  await run('python3', ['-m', 'venv', place])
  await run(join(place, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', `schemathesis==${version}`])
  // An installation that was interrupted begins anew.
  await writeFile(done, '')
  return program
}

/** Sends what a document allows and what it does not, for `seconds`. Exits with 0 when nothing was found. */
export async function fuzz(
  program: string,
  options: { document: string; origin: string; directory: string; seconds: number; seed: number },
): Promise<CommandResult> {
  const { document, origin, directory, seconds, seed } = options
  const config = join(directory, 'schemathesis.toml')
  // What cannot be done yet is said with 501, and an end or too much work with 503; both stand in the document.
  await writeFile(config, '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 501, 503]\n')
  const checks =
    'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method'
  const target = ['--config-file', config, 'run', document, '--url', origin, '--checks', checks, '--seed', String(seed)]
  const extent = ['--phases', 'coverage,fuzzing', '--max-time', String(seconds), '--request-timeout', '10']
  const manner = ['--continue-on-failure', '--workers', '2', '--no-color', '--warnings', 'off']
  // A stream has no end that it could wait for.
  const finite = ['--exclude-path-regex', '/(events|logs|proxy-logs)$']
  const child = spawn(program, [...target, ...extent, ...manner, ...finite], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '', HOME: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return await collect(child)
}

async function run(file: string, args: string[]): Promise<void> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', reject)
  })
  const { code, stderr } = await Promise.race([collect(child), failed])
  if (code !== 0) throw new Error(`${file} exited ${code}: ${stderr.slice(-500)}`)
}
