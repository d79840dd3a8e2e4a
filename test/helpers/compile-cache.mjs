/**
 * Keeps compiled code in a folder, so that the processes of one host that are started again and again start quicker:
 *
 *     node --import 'file:///.../compile-cache.mjs?folder=FOLDER' host/main.ts
 */
import { enableCompileCache } from 'node:module'

enableCompileCache(new URL(import.meta.url).searchParams.get('folder') ?? undefined)
