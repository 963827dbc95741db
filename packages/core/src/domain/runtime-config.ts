import { ThvError } from '../errors.ts'
import { isRecord } from './is-record.ts'

/** How the image of a package is built: `runtime_config` of a run config and of an API request, spec/local 3.3. */
export interface RuntimeConfig {
  /** In the place of the usual base image. */
  builder_image?: string
  /** Packages of the base image's system, beside the usual ones. */
  additional_packages?: string[]
  /** Further Python packages in the server's environment; uvx only. */
  build_with?: string[]
  /** Variables of the finished image. */
  runtime_env?: Record<string, string>
}

/** What is more special wins: the image and `build_with` replace, system packages and variables are added. */
export function mergeRuntimeConfig(base: RuntimeConfig, special: RuntimeConfig): RuntimeConfig {
  const packages = [...new Set([...(base.additional_packages ?? []), ...(special.additional_packages ?? [])])]
  const variables = { ...base.runtime_env, ...special.runtime_env }
  return {
    ...base,
    ...special,
    ...(packages.length === 0 ? {} : { additional_packages: packages }),
    ...(Object.keys(variables).length === 0 ? {} : { runtime_env: variables }),
  }
}

/**
 * Checks the types of what a file says; whether it can stand in a build, the build knows. Keys that are
 * null or empty are left out. Throws `invalid-run-config` naming `origin`.
 */
export function parseRuntimeConfig(value: unknown, origin: string): RuntimeConfig {
  if (!isRecord(value)) throw invalid(origin, 'it is not an object')
  const { builder_image: image, additional_packages: packages, build_with: constraints, runtime_env: variables } = value
  const found: RuntimeConfig = {}
  if (isSet(image)) found.builder_image = text(image, `${origin}.builder_image`)
  if (isSet(packages)) found.additional_packages = texts(packages, `${origin}.additional_packages`)
  if (isSet(constraints)) found.build_with = texts(constraints, `${origin}.build_with`)
  if (isSet(variables)) found.runtime_env = textMap(variables, `${origin}.runtime_env`)
  return found
}

/** A map of texts as it stands in a file. Throws `invalid-run-config` naming `origin`. */
export function textMap(value: unknown, origin: string): Record<string, string> {
  if (!isRecord(value)) throw invalid(origin, 'it is not a map')
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, text(one, `${origin}.${key}`)]))
}

function texts(value: unknown, origin: string): string[] {
  if (!Array.isArray(value)) throw invalid(origin, 'it is not a list')
  return value.map((one) => text(one, origin))
}

function text(value: unknown, origin: string): string {
  if (typeof value !== 'string') throw invalid(origin, 'it is not a text')
  return value
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function invalid(origin: string, why: string): ThvError {
  return new ThvError('invalid-run-config', `${origin} cannot be read: ${why}`, {
    hint: 'write builder_image, additional_packages, build_with or runtime_env, as docs/isolation.md shows',
  })
}
