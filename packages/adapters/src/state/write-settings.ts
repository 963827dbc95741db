import { limits, ThvError, type SecretProvider } from '@thv/core'
import { writeAtomically } from './atomic-write.ts'
import { withFileLock } from './file-lock.ts'
import type { Liveness } from './lock-files.ts'
import { readStateFile } from './read-state-file.ts'

/**
 * Writes into `config.yaml` which provider secrets come from (spec/local 10); everything else in it, comments included,
 * stays as it is. Rejects with `config-invalid` for a file that cannot be understood, which is left alone.
 */
export async function saveSecretsProvider(
  path: string,
  provider: SecretProvider,
  { processes, signal }: { processes: Liveness; signal: AbortSignal },
): Promise<void> {
  await withFileLock(`${path}.thv-lock`, { timeoutMs: limits.lockMs, signal, processes }, async () => {
    const found = await readStateFile(path, limits.settingsBytes)
    if (found.kind === 'refused') throw unusable(path, found.reason)
    const { isMap, parseDocument } = await import('yaml')
    const document = parseDocument(found.kind === 'absent' ? '' : found.bytes.toString('utf8'))
    const [problem] = document.errors
    if (problem !== undefined) throw unusable(path, problem.message, problem)
    if (document.contents !== null && !isMap(document.contents)) throw unusable(path, 'it is not a map of keys')
    try {
      document.setIn(['secrets', 'provider_type'], provider)
      document.setIn(['secrets', 'setup_completed'], true)
    } catch (error) {
      throw unusable(path, "'secrets' is not a map of keys", error)
    }
    await writeAtomically(path, document.toString({ lineWidth: 0 }))
  })
}

function unusable(path: string, why: string, cause?: unknown): ThvError {
  return new ThvError('config-invalid', `'${path}' cannot be changed: ${why}`, {
    hint: 'mend the file, or move it away',
    cause,
  })
}
