// The npm packages the bench needs, pinned, installed once outside the workspace's own dependencies.

import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment, runToEnd } from './processes.mjs'

const INSTALL_TIMEOUT_MS = 120_000

/** Where the bench keeps installed packages and its results; inside `node_modules`, so never committed. */
export const CACHE_DIRECTORY = fileURLToPath(new URL('../../node_modules/.cache/thv-bench/', import.meta.url))

export const PACKAGES = {
  supergateway: { name: 'supergateway', version: '4.0.0', bin: 'supergateway' },
  'mcp-proxy': { name: 'mcp-proxy', version: '6.7.19', bin: 'mcp-proxy' },
  everything: { name: '@modelcontextprotocol/server-everything', version: '2026.8.31', bin: 'mcp-server-everything' },
}

/** Installs a package unless it is there; resolves the path of its program, throws when it cannot be had. */
export async function installPackage({ name, version, bin }) {
  const directory = join(CACHE_DIRECTORY, `${name}@${version}`)
  const program = join(directory, 'node_modules', '.bin', bin)
  if (existsSync(program)) return program

  // Installed aside and moved into place, so that an interrupted install is never taken for a finished one.
  const building = join(CACHE_DIRECTORY, `.installing-${process.pid}`)
  await rm(building, { recursive: true, force: true })
  await mkdir(building, { recursive: true })
  try {
    await writeFile(join(building, 'package.json'), '{ "private": true }\n')
    const flags = [
      '--prefix',
      building,
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--loglevel=error',
      '--fetch-retries=1',
      '--fetch-retry-mintimeout=1000',
    ]
    const ended = await runToEnd(['npm', 'install', ...flags, `${name}@${version}`], {
      cwd: building,
      env: cleanEnvironment(),
      timeoutMs: INSTALL_TIMEOUT_MS,
    })
    if (ended.code !== 0) throw new Error(`not installed (${firstLine(ended.stderr) || 'npm ran out of time'})`)
    await mkdir(dirname(directory), { recursive: true })
    await rename(building, directory)
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return program
}

function firstLine(text) {
  return text.trim().split('\n')[0].slice(0, 120)
}
