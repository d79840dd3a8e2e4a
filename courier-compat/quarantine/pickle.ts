/**
 * Reads the one kind of value that pythonfilter put into its quarantine's database: a pair of a time and a pair of a path
 * and a list of paths, as Python's pickle writes it.
 *
 * A pickle is a program. This reader knows only the instructions that such a value needs; it makes numbers, texts and
 * lists, and whatever else an instruction would do is refused with the whole value.
 * Pure: no clock, socket, file or logger. No recursion; time grows with the length.
 * Source: spec pythonfilter 3.2, step 3; Python's library manual, "pickle" (protocols 0 to 5).
 */

/** What pythonfilter stored of a message. */
export interface OldRecord {
  /** When it was kept. Units: ms since the epoch. */
  readonly atMs: number
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
}

/** A value in the making; `mark` stands where a list or a tuple begins. */
type Item = number | string | Item[] | typeof mark

const mark = Symbol('mark')

const maxOctets = 1024 * 1024

/** The end of the year 9999: what comes later no calendar here can show. */
const maxTimeS = 253_402_300_799

/** Reads a value. Errors: RangeError where it is not exactly such a value. */
export function parseOldRecord(pickle: Buffer): OldRecord {
  const value = unpickle(pickle)
  if (!Array.isArray(value) || value.length !== 2) throw refused('it is no pair')
  const [time, files] = value
  if (typeof time !== 'number' || !(time >= 0 && time <= maxTimeS)) throw refused('it has no time')
  if (!Array.isArray(files) || files.length !== 2) throw refused('it has no pair of paths')
  const [bodyPath, controlPaths] = files
  if (typeof bodyPath !== 'string' || !Array.isArray(controlPaths)) throw refused('it has no paths')
  if (!controlPaths.every((path) => typeof path === 'string')) throw refused('it has no list of paths')
  return { atMs: time * 1000, bodyPath, controlPaths }
}

function unpickle(pickle: Buffer): Item {
  if (pickle.length > maxOctets) throw refused('it is too long')
  const stack: Item[] = []
  let at = 0
  const take = (octets: number): Buffer => {
    if (octets > pickle.length - at) throw refused('it is cut off')
    at += octets
    return pickle.subarray(at - octets, at)
  }
  const line = (): string => {
    const end = pickle.indexOf(0x0a, at)
    if (end === -1) throw refused('it is cut off')
    const text = pickle.toString('latin1', at, end)
    at = end + 1
    return text
  }
  const pop = (): Item => {
    const item = stack.pop()
    if (item === undefined || item === mark) throw refused('it takes what is not there')
    return item
  }
  const popToMark = (): Item[] => {
    const from = stack.lastIndexOf(mark)
    if (from === -1) throw refused('it takes what is not there')
    return stack.splice(from).slice(1)
  }
  const addTo = (items: readonly Item[]): void => {
    const list = stack.at(-1)
    if (!Array.isArray(list)) throw refused('it adds to what is no list')
    for (const item of items) list.push(item)
  }
  for (;;) {
    const code = take(1).toString('latin1')
    switch (code) {
      case '\x80': // PROTO
        if ((take(1)[0] ?? 99) > 5) throw refused('it is of a protocol that nobody knows')
        break
      case '\x95': // FRAME
        take(8)
        break
      case 'G': // BINFLOAT
        stack.push(take(8).readDoubleBE())
        break
      case 'F': // FLOAT
        stack.push(decimal(line()))
        break
      case '\x8c': // SHORT_BINUNICODE
        stack.push(take(take(1).readUInt8()).toString('utf8'))
        break
      case 'X': // BINUNICODE
        stack.push(take(take(4).readUInt32LE()).toString('utf8'))
        break
      case 'U': // SHORT_BINSTRING
        stack.push(take(take(1).readUInt8()).toString('latin1'))
        break
      case 'T': // BINSTRING
        stack.push(take(take(4).readUInt32LE()).toString('latin1'))
        break
      case 'V': // UNICODE
        stack.push(plain(line()))
        break
      case 'S': // STRING
        stack.push(quotedText(line()))
        break
      // What is remembered is never asked for: the instructions that would are refused.
      case '\x94': // MEMOIZE
        break
      case 'q': // BINPUT
        take(1)
        break
      case 'r': // LONG_BINPUT
        take(4)
        break
      case 'p': // PUT
        line()
        break
      case '(': // MARK
        stack.push(mark)
        break
      case ']': // EMPTY_LIST
        stack.push([])
        break
      case 'l': // LIST
      case 't': // TUPLE
        stack.push(popToMark())
        break
      case 'a': // APPEND
        addTo([pop()])
        break
      case 'e': // APPENDS
        addTo(popToMark())
        break
      case '\x86': {
        // TUPLE2
        const second = pop()
        stack.push([pop(), second])
        break
      }
      case '.': {
        // STOP
        const value = pop()
        if (stack.length > 0 || at !== pickle.length) throw refused('something is left over')
        return value
      }
      default:
        throw refused(`instruction ${code.charCodeAt(0)} is none that such a value needs`)
    }
  }
}

function decimal(text: string): number {
  if (!/^[0-9]{1,20}(?:\.[0-9]{1,30})?(?:e[+-]?[0-9]{1,3})?$/.test(text)) throw refused('a number is none')
  return Number(text)
}

/** Paths of ours have no character that would be written in another way. */
function quotedText(text: string): string {
  const match = /^(?:'([^'\\]*)'|"([^"\\]*)")$/.exec(text)
  if (match === null) throw refused('a text is none')
  return match[1] ?? match[2] ?? ''
}

function plain(text: string): string {
  if (text.includes('\\')) throw refused('a text has an escape')
  return text
}

function refused(why: string): RangeError {
  return new RangeError(`the value in pythonfilter's database cannot be read: ${why}`)
}
