// The standard's own notation for fields (`n6`, `n..19`, `ans...999`, `b8`) and styles: how a whole family is encoded.
import { PosternError } from '../../../../hal/base/errors.js'
import type { DialectTable } from './codec.js'
import type { ContentType } from './content.js'
import type { Encoding, Field } from './field.js'
import type { Prefix } from './wire.js'

/** Encodings that a family of dialects shares. */
export interface Style {
  readonly digits: Extract<Encoding, 'ascii' | 'ebcdic' | 'bcd'>
  readonly text: Extract<Encoding, 'ascii' | 'ebcdic'>
  readonly bytes: Extract<Encoding, 'binary' | 'hex' | 'hex-ebcdic'>
  readonly prefix: Prefix['encoding']
}

const ENCODED_AS: Readonly<Record<ContentType, keyof Omit<Style, 'prefix'>>> = {
  n: 'digits',
  z: 'digits',
  'x+n': 'digits',
  a: 'text',
  an: 'text',
  ans: 'text',
  any: 'text',
  b: 'bytes',
}

const NOTATION = /^(n|a|an|ans|z|x\+n|b)(\.{2,4})?([1-9][0-9]{0,3})$/

/**
 * One row: `n..19` is up to 19 digits behind two digits of length (LLVAR), three dots are LLLVAR; `b` counts bytes, `x+n`
 * its sign too.
 * @throws PosternError `ISO8583_INVALID` for another notation
 */
export function row(style: Style, notation: string, name: string, shown?: Field['shown']): Field {
  const match = NOTATION.exec(notation)
  if (match === null) throw new PosternError('ISO8583_INVALID', `not the notation of a field: ${notation}`)
  const type = match[1] as ContentType
  return styled(
    {
      name,
      type,
      encoding: 'ascii',
      prefix: match[2] === undefined ? 'fixed' : { digits: match[2].length, encoding: 'ascii' },
      length: Number(match[3]),
      padding:
        type === 'n' ? 'leftZero' : type === 'b' || type === 'x+n' || type === 'z' ? 'none' : 'rightSpace',
      ...(shown === undefined ? {} : { shown }),
    },
    style,
  )
}

function styled(field: Field, style: Style): Field {
  return {
    ...field,
    encoding: style[ENCODED_AS[field.type]],
    prefix: field.prefix === 'fixed' ? 'fixed' : { ...field.prefix, encoding: style.prefix },
  }
}

/** A table in another style: every field keeps type and length and takes the style's encodings. */
export function restyle(table: DialectTable, style: Style): DialectTable {
  const rows: Record<number, Field | undefined> = {}
  for (const [number, field] of Object.entries(table.rows)) {
    rows[Number(number)] = field === undefined ? undefined : styled(field, style)
  }
  return { ...table, mti: styled(table.mti, style), bitmaps: table.bitmaps.map(() => style.bytes), rows }
}
