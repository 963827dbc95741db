declare const __THV_VERSION__: string | undefined
declare const __THV_COMMIT__: string | undefined
declare const __THV_BUILD_DATE__: string | undefined

/** What the build wrote into the bundle; a run from sources has none of it. */
export const buildInfo = {
  version: typeof __THV_VERSION__ === 'string' ? __THV_VERSION__ : 'dev',
  commit: typeof __THV_COMMIT__ === 'string' ? __THV_COMMIT__ : 'unknown',
  buildDate: typeof __THV_BUILD_DATE__ === 'string' ? __THV_BUILD_DATE__ : 'unknown',
} as const
