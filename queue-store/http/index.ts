/** A depot over HTTP. */
export { deliveryJson, entryJson } from './entry-json.ts'
export { httpLimits, type HttpLimits } from './limits.ts'
export { openApi, type OperationId } from './openapi.ts'
export { serveDepot, type DepotServer, type ServeOptions, type ServeSocket, type ServeTcp } from './server.ts'
