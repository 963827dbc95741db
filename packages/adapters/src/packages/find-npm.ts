import { dirname, join } from 'node:path'
import { findTool } from './find-tool.ts'
import { isReadable } from './read-json.ts'

/** How npm is started: the one that came with this Node, else the one on the search path; undefined when there is none. */
export async function findNpm(
  environment: Readonly<Record<string, string | undefined>>,
  nodePath: string = process.execPath,
): Promise<readonly [executable: string, ...args: string[]] | undefined> {
  for (const place of ['../lib/node_modules', 'node_modules']) {
    const script = join(dirname(nodePath), place, 'npm/bin/npm-cli.js')
    if (await isReadable(script)) return [nodePath, script]
  }
  const found = await findTool('npm', environment)
  return found === undefined ? undefined : [found]
}
