/** Writes docs/reference/openapi.json: the document of the API, as the sources make it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { isMainModule, root } from './repository.mjs'

const source = `
import { buildOpenApi } from './apps/thv/src/api/openapi.ts'
import { documentedRoutes } from './apps/thv/src/api/routes.ts'
process.stdout.write(JSON.stringify(buildOpenApi(documentedRoutes), null, 2) + '\\n')
`

/** Where the committed document is. */
export const documentPath = join(root, 'docs', 'reference', 'openapi.json')

/** The text of the document. */
export function renderDocument() {
  const args = ['--conditions=@thv/source', '--import', 'tsx', '--input-type=module', '--eval', source]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    windowsHide: true,
  })
  if (status !== 0) throw new Error(`the document cannot be made: ${stderr}`)
  return stdout
}

if (isMainModule(import.meta.url)) {
  mkdirSync(dirname(documentPath), { recursive: true })
  writeFileSync(documentPath, renderDocument())
  console.log('docs/reference/openapi.json')
}
