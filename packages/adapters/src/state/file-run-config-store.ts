import { join } from 'node:path'
import { assertRunConfig, assertWorkloadName, limits, ThvError, type RunConfig, type RunConfigStore } from '@thv/core'
import { writeAtomically } from './atomic-write.ts'
import { listStateFiles } from './list-state-files.ts'
import { decodeState, parseJsonObject } from './parse-state-json.ts'
import { readStateFile } from './read-state-file.ts'
import { removeFile } from './remove-file.ts'
import { normaliseRunConfig } from './run-config-normaliser.ts'
import { sweepTemporaries } from './temporary-file.ts'

/**
 * Saved run configs as `<stateDirectory>/runconfigs/<name>.json`, the files that
 * ToolHive reads and writes too (spec/local 2.8). Opens nothing until used.
 *
 * @param options.stateDirectory `state` of `resolveDirectories`
 */
export function createFileRunConfigStore(options: { stateDirectory: string }): RunConfigStore {
  const directory = join(options.stateDirectory, 'runconfigs')
  const pathOf = (name: string): string => {
    assertWorkloadName(name)
    return join(directory, `${name}.json`)
  }
  return {
    load: async (name) => await load(name, pathOf(name)),
    save: async (config) => await save(config, pathOf(config.name)),
    delete: async (name) => {
      await removeFile(pathOf(name))
      await sweepTemporaries(directory)
    },
    list: () => listStateFiles(directory),
  }
}

async function load(name: string, path: string): Promise<RunConfig | undefined> {
  const read = await readStateFile(path, limits.runConfigBytes)
  if (read.kind === 'absent') return undefined
  if (read.kind === 'refused') throw unusable(path, read.reason)
  const raw = parseJsonObject(decodeState(read.bytes))
  if (raw === undefined) throw unusable(path, read.bytes.length === 0 ? 'it is empty' : 'it is not a JSON object')
  const config = normaliseRunConfig(raw)
  assertRunConfig(config, `'${path}'`)
  // A copied file, or another spelling on a file system that ignores case: running it would touch the other workload.
  if (config.name !== name && config.base_name !== name) throw unusable(path, `it is for a workload '${config.name}'`)
  return config
}

async function save(config: RunConfig, path: string): Promise<void> {
  assertRunConfig(config, `the run config of '${config.name}'`)
  const text = `${JSON.stringify(config, null, 2)}\n`
  if (Buffer.byteLength(text) > limits.runConfigBytes) {
    throw new ThvError(
      'invalid-run-config',
      `the run config of '${config.name}' is larger than ${limits.runConfigBytes} bytes`,
      { hint: 'move long values into files that the server reads' },
    )
  }
  await writeAtomically(path, text)
}

function unusable(path: string, why: string): ThvError {
  return new ThvError('invalid-run-config', `'${path}' is not a run config: ${why}`, {
    hint: "mend the file, or remove the workload with 'thv rm' and run it again",
  })
}
