export * from "./clients.js";
export { AzureCommunicationTokenCredential } from "./credential.js";
export * from "./identifiers.js";
