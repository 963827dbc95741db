/**
 * Makes a clone ready to run: checks Node, installs packages and builds, each only when it is stale.
 * Runs before anything is installed, so it uses Node's own modules only.
 */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, isBuilt } from './build.mjs'
import { npmCommand, run, seconds } from './commands.mjs'
import { withLock } from './directory-lock.mjs'
import { fingerprint, manifests } from './fingerprint.mjs'
import { isMainModule, root } from './repository.mjs'

const nodeFloor = [20, 19]
const lockFile = join(root, 'package-lock.json')
const installStamp = join(root, 'node_modules', '.thv-install')
/** Not in node_modules, which `npm ci` deletes. */
const lockDirectory = join(root, 'apps', 'thv', 'dist', '.prepare-lock')

/**
 * Installs and (unless `build` is false) builds what is stale; prints nothing when nothing is.
 * Safe to run twice at once: the second waits and finds the work done.
 * Throws an error whose message is meant for the user.
 */
export async function prepare({ build: wantsBuild = true } = {}) {
  assertNodeVersion(process.versions.node)
  const isReady = () => installIsFresh() && (!wantsBuild || isBuilt())
  if (isReady()) return
  const onWait = (pid) => console.log(`waiting for another process (${pid}) that prepares this clone`)
  await withLock(lockDirectory, onWait, async () => {
    if (!installIsFresh()) await install()
    if (wantsBuild && !isBuilt()) await buildProgram()
  })
}

export function assertNodeVersion(version) {
  const [major, minor] = version.split('.').map(Number)
  if (major > nodeFloor[0] || (major === nodeFloor[0] && minor >= nodeFloor[1])) return
  throw new Error(`thv needs Node.js ${nodeFloor.join('.')} or newer, and this is ${version}: install a newer Node.js`)
}

async function install() {
  console.log('installing packages (once per change of package-lock.json)')
  rmSync(installStamp, { force: true })
  // NODE_ENV=production or a user's npm settings must not leave out the tools; a log level must not hide an error.
  const flags = ['--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']
  const { code, output: text, durationMs } = await run(npmCommand('ci', ...flags), { endsWithUs: true })
  if (code !== 0) {
    const hint = text.includes('Missing:')
      ? "\nafter 'npm install', complete the lock: node tools/complete-lock.mjs"
      : ''
    throw new Error(`npm ci failed with exit code ${code}:\n${text.trimEnd()}${hint}`)
  }
  writeFileSync(installStamp, JSON.stringify(installState()))
  console.log(`installed in ${seconds(durationMs)}`)
}

function installIsFresh() {
  const state = installState()
  const stamp = readStamp(installStamp)
  if (stamp?.abi === state.abi && stamp.inputs === state.inputs) return true
  if (stamp && stamp.abi !== state.abi) return false
  if (!isInstalledByHand()) return false
  writeFileSync(installStamp, JSON.stringify(state))
  return true
}

function installState() {
  return {
    // Native packages fit one system and one ABI: a clone may be mounted into a container of another kind.
    abi: `${process.platform}-${process.arch}-${process.versions.modules}`,
    inputs: fingerprint([lockFile, ...manifests()]),
  }
}

/** `npm install` writes its own copy of the lock last: newer than all inputs, it means that a person has installed. */
function isInstalledByHand() {
  const installed = statSync(join(root, 'node_modules', '.package-lock.json'), { throwIfNoEntry: false })
  const inputs = [lockFile, ...manifests()].map((path) => statSync(path).mtimeMs)
  return installed !== undefined && inputs.every((changed) => changed <= installed.mtimeMs)
}

async function buildProgram() {
  const started = performance.now()
  console.log('building apps/thv')
  await build()
  console.log(`built in ${seconds(performance.now() - started)}`)
}

function readStamp(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    // Missing, or cut off by a crash: stale either way.
    return undefined
  }
}

if (isMainModule(import.meta.url)) {
  try {
    await prepare({ build: !process.argv.includes('--no-build') })
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
