// An app's manifest: who it is, what it needs, how it is called in each language.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { PosternError } from '../../../hal/base/errors.js'
import { API_VERSION } from '../../api/app-contract.js'
import { checker } from '../../api/contract.js'

const closed = { additionalProperties: false } as const
const Locale = '^[a-z]{2}(-[A-Z]{2})?$'

export const Manifest = Type.Object(
  {
    /** The folder's name, and the app's name in topics and on disk. */
    id: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }),
    version: Type.String({ pattern: '^[0-9]{1,5}\\.[0-9]{1,5}\\.[0-9]{1,5}$' }),
    /** The interface it was written for: `^1.0` takes any host of major 1 from 1.0 on. */
    sdk: Type.String({ pattern: '^\\^[0-9]{1,3}\\.[0-9]{1,3}$' }),
    /** Shown in the top row, by language; `en` is always there. */
    name: Type.Intersect([
      Type.Object({ en: Type.String({ minLength: 1, maxLength: 24 }) }),
      Type.Record(Type.String({ pattern: Locale }), Type.String({ minLength: 1, maxLength: 24 })),
    ]),
    description: Type.Intersect([
      Type.Object({ en: Type.String({ minLength: 1, maxLength: 200 }) }),
      Type.Record(Type.String({ pattern: Locale }), Type.String({ minLength: 1, maxLength: 200 })),
    ]),
  },
  closed,
)
export type Manifest = Static<typeof Manifest>

/** The name under which the terminal itself shows screens. */
export const SYSTEM = 'postern'

/** What the keys mean, for error messages. */
const ALLOWED: Readonly<Record<string, string>> = {
  id: 'lower-case letters, digits and dashes, beginning with a letter, at most 32',
  version: 'three numbers such as 1.0.0',
  sdk: 'a caret and two numbers such as ^1.0',
  name: 'texts of 1 to 24 characters by language such as { "en": "Courier", "zh": "快递" }, en at least',
  description: 'texts of 1 to 200 characters by language, en at least',
}

function fault(app: string, key: string, problem: string): PosternError {
  const allowed = ALLOWED[key]
  const hint =
    allowed === undefined ? `the keys are ${Object.keys(ALLOWED).join(', ')}` : `allowed: ${allowed}`
  return new PosternError(
    'MANIFEST_INVALID',
    `apps/${app}/manifest.json: ${key || 'document'}: ${problem}; ${hint}`,
    {
      app,
      key,
    },
  )
}

/** True where a host of `version` serves an app that asks for `range`. */
export function servesSdk(range: string, version: string = API_VERSION): boolean {
  const [major, minor] = range.slice(1).split('.').map(Number)
  const [hostMajor, hostMinor] = version.split('.').map(Number)
  return major === hostMajor && minor! <= hostMinor!
}

/** Checks a parsed manifest of the folder `app`. @throws PosternError `MANIFEST_INVALID` naming key and what is allowed */
export function manifestFrom(app: string, document: unknown): Manifest {
  if (typeof document !== 'object' || document === null) throw fault(app, '', 'not a JSON object')
  for (const key of Object.keys(document)) {
    if (!Object.hasOwn(ALLOWED, key)) throw fault(app, key.slice(0, 40), 'unknown key')
  }
  for (const key of Object.keys(ALLOWED)) {
    if (!Object.hasOwn(document, key)) throw fault(app, key, 'is missing')
    const problem = checker(Manifest.properties[key as keyof Manifest])(
      (document as Record<string, unknown>)[key],
    )
    if (problem !== undefined) throw fault(app, key, problem)
  }
  const manifest = document as Manifest
  if (manifest.id === SYSTEM) throw fault(app, 'id', `${SYSTEM} is the terminal's own name`)
  if (manifest.id !== app) throw fault(app, 'id', `is ${manifest.id} in a folder named ${app}`)
  if (!servesSdk(manifest.sdk))
    throw fault(app, 'sdk', `${manifest.sdk} is not served; this host serves ${API_VERSION}`)
  return manifest
}

/** Reads the manifest in `folder`. @throws PosternError `MANIFEST_INVALID` */
export function readManifest(app: string, folder: string): Manifest {
  let document: unknown
  try {
    document = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
  } catch (error) {
    throw fault(app, '', (error as Error).message)
  }
  return manifestFrom(app, document)
}

/** The app's name in a language, by the language alone where the region is unknown, else in English. */
export function nameIn(manifest: Manifest, locale: string): string {
  const names = manifest.name as Readonly<Record<string, string>>
  return names[locale] ?? names[locale.slice(0, 2)] ?? manifest.name.en
}
