// Checking a document that someone wrote: the first fault is named by its key and by what is allowed there.
import type { Static, TSchema } from 'typebox'
import { PosternError } from '../../../hal/base/errors.js'
import { checker } from '../../api/contract.js'

/** What is wrong at a JSON pointer, in words that follow the key. */
export interface DocumentFault {
  readonly path: string
  readonly problem: string
}

/** Checks `value` against its schema and then against `further`. @throws PosternError `DOCUMENT_INVALID` */
export function checkDocument<S extends TSchema>(
  name: string,
  schema: S,
  value: unknown,
  further: (document: Static<S>) => DocumentFault | undefined = () => undefined,
): Static<S> {
  const refuse = (path: string, problem: string): never => {
    throw new PosternError('DOCUMENT_INVALID', `${name} document: ${path} ${problem}`, {
      document: name,
      path,
    })
  }
  const fault = checker(schema)(value)
  if (fault !== undefined) {
    const colon = fault.indexOf(': ')
    return refuse(fault.slice(0, colon), fault.slice(colon + 2))
  }
  const document = value as Static<S>
  const deeper = further(document)
  return deeper === undefined ? document : refuse(deeper.path, deeper.problem)
}
