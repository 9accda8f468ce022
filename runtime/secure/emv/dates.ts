// Dates as cards write them: YYMMDD and MMYY in BCD, with the century's pivot (EMV Book 3 v4.4, 10.4.3; Book 4, 6.7.3).

/** Years 50 to 99 are 1950 to 1999, 00 to 49 are 2000 to 2049 (Book 4, 6.7.3). */
function year(yy: number): number {
  return yy < 50 ? 2000 + yy : 1900 + yy
}

function bcd(byte: number | undefined): number {
  if (byte === undefined || (byte & 0x0f) > 9 || byte >> 4 > 9) return -1
  return (byte >> 4) * 10 + (byte & 0x0f)
}

/** YYMMDD as a number that sorts by time; undefined where it is no date. Days up to 31 in every month. */
export function dateNumber(date: Uint8Array | undefined): number | undefined {
  if (date?.length !== 3) return undefined
  const [yy, mm, dd] = [bcd(date[0]), bcd(date[1]), bcd(date[2])]
  if (yy < 0 || mm < 1 || mm > 12 || dd < 1 || dd > 31) return undefined
  return year(yy) * 10_000 + mm * 100 + dd
}

/** True if the application has expired on `today`: 5F24 is past. A date that cannot be read counts as past. */
export function isExpired(today: Uint8Array | undefined, expiration: Uint8Array | undefined): boolean {
  const now = dateNumber(today)
  const end = dateNumber(expiration)
  return now === undefined || end === undefined || now > end
}

/** True if 5F25 is still to come. A date that cannot be read counts as still to come. */
export function isNotYetEffective(today: Uint8Array | undefined, effective: Uint8Array | undefined): boolean {
  const now = dateNumber(today)
  const start = dateNumber(effective)
  return now === undefined || start === undefined || now < start
}

/** True if a certificate that is valid to the end of month MMYY has expired (Book 2, 5.3 step 9). */
export function isCertificateExpired(today: Uint8Array | undefined, mmyy: Uint8Array | undefined): boolean {
  const now = dateNumber(today)
  const mm = bcd(mmyy?.[0])
  const yy = bcd(mmyy?.[1])
  if (now === undefined || mmyy?.length !== 2 || mm < 1 || mm > 12 || yy < 0) return true
  return Math.floor(now / 100) > year(yy) * 100 + mm
}

/** YYYYMMDD or YYYYMMDDHHMM of an ECC certificate as a number that sorts by time; undefined where it is none. */
export function dateTimeNumber(bytes: Uint8Array): number | undefined {
  const [century, yy, mm, dd, hours = 0, minutes = 0] = [...bytes].map(bcd) as [
    number,
    number,
    number,
    number,
  ]
  if (century < 0 || yy < 0 || mm < 1 || mm > 12 || dd < 1 || dd > 31) return undefined
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return undefined
  const day = (century * 100 + yy) * 10_000 + mm * 100 + dd
  return bytes.length > 4 ? day * 10_000 + hours * 100 + minutes : day
}

/** 9A and 9F21 of a local time. */
export function transactionDateTime(at: Date): { date: Uint8Array; time: Uint8Array } {
  const two = (value: number) => ((Math.floor(value / 10) % 10) << 4) | (value % 10)
  return {
    date: Uint8Array.of(two(at.getFullYear() % 100), two(at.getMonth() + 1), two(at.getDate())),
    time: Uint8Array.of(two(at.getHours()), two(at.getMinutes()), two(at.getSeconds())),
  }
}
