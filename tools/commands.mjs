/** How the tools start other programs: without a shell, so that it works the same on every system. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { root } from './repository.mjs'

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * The npm that started us, else the one that came with this node, else the one on PATH.
 * npm is run as a script by this node, because Windows can not spawn npm.cmd without a shell.
 */
export function npmCommand(...args) {
  const besideNode = dirname(process.execPath)
  const candidates = [
    process.env.npm_execpath,
    join(besideNode, 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(besideNode, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ]
  const script = candidates.find((path) => path && basename(path) === 'npm-cli.js' && existsSync(path))
  if (script) return { file: process.execPath, args: [script, ...args], shell: false }
  return { file: 'npm', args, shell: process.platform === 'win32' }
}

/** The program of an installed package, run by this node. */
export function packageCommand(name, ...args) {
  const directory = join(root, 'node_modules', name)
  const { bin } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  const script = typeof bin === 'string' ? bin : Object.values(bin)[0]
  return { file: process.execPath, args: [join(directory, script), ...args], shell: false }
}

/**
 * Runs a command to its end in the clone. Output is collected unless `options.stdio` says otherwise.
 * With `endsWithUs` a signal that would end this process ends the command first, then this process: an abandoned
 * `npm ci` would fight with the next one.
 */
export function run(command, { endsWithUs = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const child = spawn(command.file, command.args, {
      cwd: root,
      shell: command.shell,
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      ...options,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => (output += text))
    }
    let received
    const pass = (signal) => {
      received = signal
      child.kill(signal)
    }
    for (const signal of endsWithUs ? endingSignals : []) process.on(signal, pass)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      for (const name of endsWithUs ? endingSignals : []) process.off(name, pass)
      if (received) process.exit(128 + constants.signals[received])
      resolve({ code: code ?? 1, signal, output, durationMs: performance.now() - started })
    })
  })
}

/** `1.2 s` */
export function seconds(durationMs) {
  return `${(durationMs / 1000).toFixed(1)} s`
}
