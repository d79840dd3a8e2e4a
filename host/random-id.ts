/** Ids for people to find a message by: random, so that none is ever met twice, and cheap, since each message has one. */
import { randomFillSync } from 'node:crypto'

const idOctets = 8
const pool = Buffer.alloc(idOctets * 512)
let next = pool.length

/** Sixteen hexadecimal digits. */
export function randomId(): string {
  if (next === pool.length) {
    randomFillSync(pool)
    next = 0
  }
  next += idOctets
  return pool.toString('hex', next - idOctets, next)
}
