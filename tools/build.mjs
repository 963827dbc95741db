/**
 * Bundles apps/thv/src/main.ts into apps/thv/dist/thv.js, and the forwarder into forwarder.js, one chunk per lazy import, nothing left to install.
 *
 * A running thv loads chunks late, so a build must not pull them away: file names carry a hash of their content, the
 * only fixed names are thv.js and forwarder.js, one line long and replaced by a rename at the very end, and chunks of the last build
 * stay. Chunks lie beside thv.js, so that `new URL('../bin/…', import.meta.url)` means the same as in src.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { buildInputs, fingerprint } from './fingerprint.mjs'
import { toOneByteText } from './one-byte-text.mjs'
import { isMainModule, root } from './repository.mjs'

const keepChunksMs = 7 * 24 * 60 * 60 * 1000
const thv = join(root, 'apps', 'thv')

/** What only a supervisor, an MCP client, a login or the API needs; it stays in chunks of its own. */
const heavy =
  /(?:adapters.src.(?:network|oauth)|thv.src.api|core.src.schemas|mcp-|wire-supervision|supervisor|supervise-here|packages.(?:proxy|runner))/
const always = /(?:packages.(?:core|adapters)|apps.thv.src|node_modules.commander)/

/** Native code cannot be bundled; it is an optional dependency of the program, which works without it. */
const native = ['@napi-rs/keyring']

/** Loading a file costs Node more than parsing it, so what every command needs is one chunk. */
const chunkGroups = [{ name: 'cli', test: (id) => always.test(id) && !heavy.test(id) }]

/** Whether apps/thv/dist was built from the sources as they are now, at this commit. */
export function isBuilt() {
  const output = join(thv, 'dist')
  return existsSync(join(output, 'thv.js')) && readStamp(output)?.inputs === inputsOf(thv)
}

/** Builds `app` (the directory of apps/thv) and returns the names of the written files. */
export async function build({ app = thv, sourcemap = false } = {}) {
  const output = join(app, 'dist')
  // Taken before the build: a file that changes meanwhile makes the next run build again.
  const inputs = inputsOf(app)
  mkdirSync(output, { recursive: true })
  const workshop = mkdtempSync(join(output, '.build-'))
  try {
    const { entries, files } = await bundle(entriesOf(app), workshop, { app, sourcemap })
    for (const file of files) renameSync(join(workshop, file), join(output, file))
    for (const [name, file] of Object.entries(entries)) {
      writeFileSync(join(workshop, `${name}.js`), `export * from './${file}'\n`)
      renameSync(join(workshop, `${name}.js`), join(output, `${name}.js`))
    }
    retireChunks(output, files)
    writeFileSync(join(output, '.build-stamp'), JSON.stringify({ inputs, files }))
    return [...Object.keys(entries).map((name) => `${name}.js`), ...files]
  } finally {
    rmSync(workshop, { recursive: true, force: true })
  }
}

/** What is started by its fixed name: the program, and what runs beside a sandbox with a network of its own. */
function entriesOf(app) {
  return {
    forwarder: join(root, 'packages', 'adapters', 'src', 'network', 'forwarder-main.ts'),
    thv: join(app, 'src', 'main.ts'),
  }
}

/** Bundles entries (`{ name: path }`) into `directory`; resolves the files that were written, and which starts what. */
export async function bundle(input, directory, { app = thv, sourcemap = false } = {}) {
  // Not at the top: prepare imports this file before rolldown is installed.
  const { rolldown } = await import('rolldown')
  const bundler = await rolldown({
    input,
    cwd: root,
    platform: 'node',
    external: native,
    resolve: { conditionNames: ['@thv/source', 'import', 'node'] },
    transform: { define: buildConstants(app) },
    plugins: [{ name: 'one-byte-text', renderChunk: (code) => ({ code: toOneByteText(code), map: null }) }],
    // What is loaded late in one place may be needed from the start in another.
    checks: { ineffectiveDynamicImport: false },
    onLog(level, log, defaultHandler) {
      // A name that does not resolve would only fail at run time, on somebody's machine.
      defaultHandler(log.code === 'UNRESOLVED_IMPORT' ? 'error' : level, log)
    },
  })
  try {
    const { output } = await bundler.write({
      dir: directory,
      format: 'esm',
      minify: false,
      sourcemap,
      codeSplitting: { groups: chunkGroups },
      entryFileNames: '[name]-[hash].js',
      chunkFileNames: '[name]-[hash].js',
    })
    const started = output.filter((chunk) => chunk.type === 'chunk' && chunk.isEntry)
    const entries = Object.fromEntries(started.map((chunk) => [chunk.name, chunk.fileName]))
    return { entries, files: output.map((chunk) => chunk.fileName) }
  } finally {
    await bundler.close()
  }
}

/** What the program knows about its own build. The date is the commit's, so that a build can be repeated exactly. */
function buildConstants(app) {
  const { version } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))
  const commit = buildCommit()
  const isDirty = commit !== 'unknown' && git('status', '--porcelain', '--', 'apps', 'packages') !== ''
  return {
    __THV_VERSION__: JSON.stringify(version),
    __THV_COMMIT__: JSON.stringify(isDirty ? `${commit}-dirty` : commit),
    __THV_BUILD_DATE__: JSON.stringify(git('show', '--no-patch', '--format=%cI', 'HEAD') ?? 'unknown'),
  }
}

function buildCommit() {
  return git('rev-parse', 'HEAD') ?? 'unknown'
}

function git(...args) {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8', windowsHide: true })
  return status === 0 ? stdout.trim() : undefined
}

/** The commit is part of the program, so a new commit is a new build even when the sources are the same. */
function inputsOf(app) {
  return fingerprint(buildInputs(), buildCommit(), app)
}

/** A chunk's age counts from the build that replaced it. */
function retireChunks(output, files) {
  const now = new Date()
  const isRetired = (name) => !files.includes(name) && existsSync(join(output, name))
  for (const name of (readStamp(output)?.files ?? []).filter(isRetired)) utimesSync(join(output, name), now, now)
  for (const name of readdirSync(output)) {
    const path = join(output, name)
    const isChunk = /-[\w-]{8}\.js(\.map)?$/.test(name)
    if (isChunk && isRetired(name) && now - statSync(path).mtimeMs > keepChunksMs) rmSync(path, { force: true })
  }
}

function readStamp(output) {
  try {
    return JSON.parse(readFileSync(join(output, '.build-stamp'), 'utf8'))
  } catch {
    // Missing, or cut off by a crash: stale either way.
    return undefined
  }
}

if (isMainModule(import.meta.url)) {
  try {
    const files = await build({ sourcemap: process.argv.includes('--sourcemap') })
    console.log(`apps/thv/dist: ${files.join(', ')}`)
  } catch (error) {
    const hint = error.code === 'ERR_MODULE_NOT_FOUND' ? "\ninstall first: 'npm ci', or 'npm start' does both" : ''
    console.error(`${error.message}${hint}`)
    process.exitCode = 1
  }
}
