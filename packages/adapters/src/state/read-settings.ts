import {
  limits,
  messageOf,
  packageKinds,
  parseRuntimeConfig,
  runtimeWishes,
  textMap,
  ThvError,
  type PackageKind,
  type RuntimeConfig,
  type RuntimeWish,
} from '@thv/core'
import { readStateFile } from './read-state-file.ts'

/** What thv takes from the user's `config.yaml`; the rest of it is ToolHive's, and is left alone. */
export interface Settings {
  /** `thv.runtime`: how packages run when no flag says it. */
  runtime?: RuntimeWish
  /** `runtime_configs`: how images of packages are built. */
  runtimeConfigs: Readonly<Partial<Record<PackageKind, RuntimeConfig>>>
  /** `build_env` and what `build_env_from_shell` names: variables of every build. */
  buildEnvironment: Readonly<Record<string, string>>
  /** `ca_certificate_path`. */
  caCertificatePath?: string
  /** `secrets.provider_type`, once its set-up is complete. */
  secretsProvider?: string
  /** Keys that change a build and that this version cannot obey. */
  unsupported: readonly string[]
}

/**
 * Reads `config.yaml`. A file that is not there says nothing; one that is not
 * ours, is too large, or does not have the expected types is `config-invalid`.
 */
export async function readSettings(
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Settings> {
  const found = await readStateFile(path, limits.settingsBytes)
  if (found.kind === 'absent') return { runtimeConfigs: {}, buildEnvironment: {}, unsupported: [] }
  try {
    if (found.kind === 'refused') throw new Error(found.reason)
    // Only whoever has a file pays for the parser.
    const { parse } = await import('yaml')
    const value: unknown = parse(found.bytes.toString('utf8')) ?? {}
    if (!isRecord(value)) throw new Error('it is not a map of keys')
    return settingsOf(value, environment)
  } catch (error) {
    throw new ThvError('config-invalid', `'${path}' cannot be used: ${messageOf(error)}`, {
      hint: 'mend the file, or move it away',
      cause: error,
    })
  }
}

function settingsOf(
  value: Record<string, unknown>,
  environment: Readonly<Record<string, string | undefined>>,
): Settings {
  const wish = isRecord(value['thv']) ? (value['thv']['runtime'] ?? undefined) : undefined
  const runtime = runtimeWishes.find((known) => known === wish)
  if (wish !== undefined && runtime === undefined) {
    throw new Error(`thv.runtime is not one of ${runtimeWishes.join(', ')}`)
  }
  const certificate = value['ca_certificate_path'] ?? ''
  if (typeof certificate !== 'string') throw new Error('ca_certificate_path is not a text')
  const secretsProvider = secretsProviderOf(value['secrets'])
  return {
    ...(runtime === undefined ? {} : { runtime }),
    ...(secretsProvider === undefined ? {} : { secretsProvider }),
    runtimeConfigs: runtimeConfigsOf(value['runtime_configs'] ?? {}),
    buildEnvironment: {
      ...shellVariables(value['build_env_from_shell'] ?? [], environment),
      ...textMap(value['build_env'] ?? {}, 'build_env'),
    },
    ...(certificate === '' ? {} : { caCertificatePath: certificate }),
    unsupported: ['build_env_from_secrets', 'build_auth_files'].filter((key) => hasEntries(value[key])),
  }
}

function secretsProviderOf(value: unknown): string | undefined {
  if (!isRecord(value) || value['setup_completed'] !== true) return undefined
  const type = value['provider_type']
  return typeof type === 'string' && type !== '' ? type : undefined
}

function runtimeConfigsOf(value: unknown): Settings['runtimeConfigs'] {
  if (!isRecord(value)) throw new Error('runtime_configs is not a map')
  return Object.fromEntries(
    packageKinds.flatMap((kind) => {
      const one = value[kind] ?? undefined
      return one === undefined ? [] : [[kind, parseRuntimeConfig(one, `runtime_configs.${kind}`)]]
    }),
  )
}

/** A variable that the shell does not have is not set in the build either. */
function shellVariables(
  names: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  if (!Array.isArray(names)) throw new Error('build_env_from_shell is not a list')
  return Object.fromEntries(
    names.flatMap((name: unknown) => {
      if (typeof name !== 'string') throw new Error('build_env_from_shell names something that is not a text')
      const text = environment[name]
      return text === undefined ? [] : [[name, text]]
    }),
  )
}

function hasEntries(value: unknown): boolean {
  return isRecord(value) && Object.keys(value).length > 0
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
