export { AzureCommunicationTokenCredential } from "./credential.js";
export * from "./identifiers.js";
