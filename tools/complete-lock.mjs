/**
 * Adds the optional packages of other platforms that package-lock.json lacks.
 *
 * A package index that mirrors only some platforms makes `npm install` drop the rest from the lock file, silently,
 * and then every `npm ci` refuses that lock as out of sync, on every machine. Native tools name one optional package
 * per platform; their versions are exact, so an entry can be written without asking anybody. It carries no integrity
 * hash: npm computes it when somebody on that platform runs `npm install`.
 *
 * Run after `npm install` changed the lock: node tools/complete-lock.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainModule, root } from './repository.mjs'

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const processors = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64']

/** Returns the entries that are missing, by their path in the lock file. */
export function missingEntries(lock) {
  const missing = {}
  const packages = lock.packages
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (!/^\d/.test(version) || findVersion({ ...packages, ...missing }, path, name) === version) continue
      const top = `node_modules/${name}`
      const place = packages[top] || missing[top] ? `${path}/node_modules/${name}` : top
      missing[place] = describe(name, version, entry.dev === true)
    }
  }
  return missing
}

/** Node's own lookup: the nearest node_modules up the path. */
function findVersion(packages, from, name) {
  for (let path = from; ; path = path.slice(0, path.lastIndexOf('node_modules')).replace(/\/$/, '')) {
    const found = packages[path === '' ? `node_modules/${name}` : `${path}/node_modules/${name}`]
    if (found) return found.version
    if (path === '') return undefined
  }
}

function describe(name, version, dev) {
  const parts = name.split('/').pop().split('-')
  const os = systems.filter((system) => parts.includes(system))
  const cpu = processors.filter((processor) => parts.includes(processor))
  const libc = parts.includes('musl') ? ['musl'] : parts.includes('gnu') ? ['glibc'] : undefined
  return {
    version,
    ...(cpu.length > 0 && { cpu }),
    ...(dev && { dev }),
    ...(libc && { libc }),
    optional: true,
    ...(os.length > 0 && { os }),
  }
}

if (isMainModule(import.meta.url)) {
  const path = join(root, 'package-lock.json')
  const lock = JSON.parse(readFileSync(path, 'utf8'))
  const missing = missingEntries(lock)
  const [[rootKey, rootEntry], ...rest] = Object.entries({ ...lock.packages, ...missing })
  lock.packages = Object.fromEntries([[rootKey, rootEntry], ...rest.sort(([a], [b]) => a.localeCompare(b, 'en'))])
  if (Object.keys(missing).length > 0) writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`)
  console.log(`package-lock.json: ${Object.keys(missing).length} entries added`)
}
