/** Content hashes that tell whether an installation or a build is stale. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { root } from './repository.mjs'

/** One hash over file names and contents; a missing file counts as such. `extra` is hashed as well. */
export function fingerprint(paths, ...extra) {
  const hash = createHash('sha256').update(JSON.stringify(extra))
  for (const path of [...paths].sort((a, b) => (a < b ? -1 : 1))) {
    hash.update(`\0${relative(root, path).split(sep).join('/')}\0`).update(contentOf(path))
  }
  return hash.digest('hex')
}

/** The manifests of the workspaces: package.json of the clone and of each package and app. */
export function manifests() {
  return [join(root, 'package.json'), ...workspaces().map((directory) => join(directory, 'package.json'))]
}

/** Everything that decides what the built program does. */
export function buildInputs() {
  const sources = workspaces().flatMap((directory) => typeScriptFiles(join(directory, 'src')))
  const scripts = ['build.mjs', 'fingerprint.mjs'].map((name) => join(root, 'tools', name))
  return [...sources, ...scripts, ...manifests(), join(root, 'package-lock.json')]
}

function workspaces() {
  return ['packages', 'apps'].flatMap((parent) =>
    entriesOf(join(root, parent))
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(root, parent, entry.name)),
  )
}

function typeScriptFiles(directory) {
  return entriesOf(directory).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return typeScriptFiles(path)
    return /(?<!\.test)\.tsx?$/.test(entry.name) ? [path] : []
  })
}

function entriesOf(directory) {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
}

function contentOf(path) {
  try {
    return readFileSync(path)
  } catch (error) {
    if (error.code === 'ENOENT') return 'missing'
    throw error
  }
}
