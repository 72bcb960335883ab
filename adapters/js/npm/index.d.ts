/** A signal that cancels a call: an `AbortSignal`, or one like it. */
export interface AbortSignalLike {
    readonly aborted: boolean;
    addEventListener(type: "abort", listener: (event?: any) => any, options?: any): void;
    removeEventListener(type: "abort", listener: (event?: any) => any, options?: any): void;
}

/** A token with its expiry. */
export interface AccessToken {
    token: string;
    /** In milliseconds since 1970. */
    expiresOnTimestamp: number;
}

/** A source of Entra tokens, such as a credential of `@azure/identity`. */
export interface TokenCredential {
    getToken(scopes: string | string[], options?: any): Promise<AccessToken | null>;
}

export interface CommunicationGetTokenOptions {
    /**
     * Ends this call: it fails with an `AbortError`. Other calls and the refresh go on. A valid token is returned even if the signal
     * is aborted.
     */
    abortSignal?: AbortSignalLike;
}

/** What clients of Azure Communication Services ask for tokens. */
export interface CommunicationTokenCredential {
    getToken(options?: CommunicationGetTokenOptions): Promise<AccessToken>;
    dispose(): void;
}

export interface CommunicationTokenRefreshOptions {
    /**
     * Fetches a token from your server. A string is a JWT, which tells its own expiry; any other string counts as good for
     * `undecodableTokenExpiryIntervalInSeconds`.
     *
     * `abortSignal` is the signal of the call of `getToken` that started the refresh, if it has one. If a refresh fails after that
     * signal was aborted, it is made again for the other callers. Without such a signal it is one that is aborted when the refresh
     * takes over a minute, or when the credential is disposed.
     */
    tokenRefresher: (abortSignal?: AbortSignalLike) => Promise<string | AccessToken>;
    /** A token you already have. */
    token?: string | AccessToken;
    /** Whether the token is renewed ahead of time, by a timer. Default: false. */
    refreshProactively?: boolean;
    /** How long a token that cannot be decoded counts as good, in seconds. Default: 600. */
    undecodableTokenExpiryIntervalInSeconds?: number;
}

export interface EntraCommunicationTokenCredentialOptions {
    /** For instance `https://contoso.communication.azure.com`. */
    resourceEndpoint: string;
    tokenCredential: TokenCredential;
    /** Default: `["https://communication.azure.com/clients/.default"]`. */
    scopes?: string[];
}

/**
 * Holds a token, keeps it fresh, and returns it: usually without waiting.
 *
 * At most one refresh is in flight, and its outcome goes to all callers. A failed refresh never costs a valid token; it is tried
 * again with growing delays. A refresh ends after a minute. After a failure, calls without a valid token get the same error until
 * trying again makes sense: up to 30 s, and up to 5 minutes if your error is from the service.
 *
 * A timer that waits keeps Node running: dispose the credential when you are done.
 */
export declare class AzureCommunicationTokenCredential implements CommunicationTokenCredential {
    /** One fixed token, which is returned always, even once it has expired. */
    constructor(token: string | AccessToken);
    /** Tokens from your server. */
    constructor(refreshOptions: CommunicationTokenRefreshOptions);
    /** Tokens of an Entra user, exchanged for access tokens. */
    constructor(entraOptions: EntraCommunicationTokenCredentialOptions);
    /**
     * A valid token. Fails with your refresher's own error, a `RestError` if the service refuses to exchange an Entra token, an
     * `AbortError`, or an `Error` that says what to do.
     */
    getToken(options?: CommunicationGetTokenOptions): Promise<AccessToken>;
    /** Fails all waiting calls, forgets the token and stops the timer. */
    dispose(): void;
}

/** A part of Azure's cloud. */
type Cloud = "public" | "dod" | "gcch";

export interface CommunicationUserIdentifier {
    communicationUserId: string;
}
export interface PhoneNumberIdentifier {
    rawId?: string;
    phoneNumber: string;
    assertedId?: string;
    isAnonymous?: boolean;
}
export interface MicrosoftTeamsUserIdentifier {
    rawId?: string;
    microsoftTeamsUserId: string;
    isAnonymous?: boolean;
    cloud?: Cloud;
}
export interface MicrosoftTeamsAppIdentifier {
    rawId?: string;
    teamsAppId: string;
    cloud?: Cloud;
}
export interface TeamsExtensionUserIdentifier {
    rawId?: string;
    userId: string;
    tenantId: string;
    resourceId: string;
    cloud?: Cloud;
}
export interface UnknownIdentifier {
    id: string;
}
export type CommunicationIdentifier =
    | CommunicationUserIdentifier
    | PhoneNumberIdentifier
    | MicrosoftTeamsUserIdentifier
    | MicrosoftTeamsAppIdentifier
    | TeamsExtensionUserIdentifier
    | UnknownIdentifier;

export interface CommunicationUserKind extends CommunicationUserIdentifier {
    kind: "communicationUser";
}
export interface PhoneNumberKind extends PhoneNumberIdentifier {
    kind: "phoneNumber";
}
export interface MicrosoftTeamsUserKind extends MicrosoftTeamsUserIdentifier {
    kind: "microsoftTeamsUser";
}
export interface MicrosoftTeamsAppKind extends MicrosoftTeamsAppIdentifier {
    kind: "microsoftTeamsApp";
}
export interface TeamsExtensionUserKind extends TeamsExtensionUserIdentifier {
    kind: "teamsExtensionUser";
}
export interface UnknownIdentifierKind extends UnknownIdentifier {
    kind: "unknown";
}
export type CommunicationIdentifierKind =
    | CommunicationUserKind
    | PhoneNumberKind
    | MicrosoftTeamsUserKind
    | MicrosoftTeamsAppKind
    | TeamsExtensionUserKind
    | UnknownIdentifierKind;

export declare const isCommunicationUserIdentifier: (
    identifier: CommunicationIdentifier,
) => identifier is CommunicationUserIdentifier;
export declare const isPhoneNumberIdentifier: (
    identifier: CommunicationIdentifier,
) => identifier is PhoneNumberIdentifier;
export declare const isMicrosoftTeamsUserIdentifier: (
    identifier: CommunicationIdentifier,
) => identifier is MicrosoftTeamsUserIdentifier;
export declare const isMicrosoftTeamsAppIdentifier: (
    identifier: CommunicationIdentifier,
) => identifier is MicrosoftTeamsAppIdentifier;
export declare const isTeamsExtensionUserIdentifier: (
    identifier: CommunicationIdentifier,
) => identifier is TeamsExtensionUserIdentifier;
export declare const isUnknownIdentifier: (identifier: CommunicationIdentifier) => identifier is UnknownIdentifier;
/** The identifier with its `kind`, for a `switch`. */
export declare const getIdentifierKind: (identifier: CommunicationIdentifier) => CommunicationIdentifierKind;
/** The identifier as one string. */
export declare const getIdentifierRawId: (identifier: CommunicationIdentifier) => string;
/** The identifier that a raw id stands for. */
export declare const createIdentifierFromRawId: (rawId: string) => CommunicationIdentifierKind;

/** An identifier as the JSON of the REST services. */
export interface SerializedCommunicationIdentifier {
    kind?: string;
    rawId?: string;
    communicationUser?: { id: string };
    phoneNumber?: { value: string; assertedId?: string; isAnonymous?: boolean };
    microsoftTeamsUser?: { userId: string; isAnonymous?: boolean; cloud?: Cloud };
    microsoftTeamsApp?: { appId: string; cloud?: Cloud };
    teamsExtensionUser?: { userId: string; tenantId: string; resourceId: string; cloud?: Cloud };
}
export declare const serializeCommunicationIdentifier: (
    identifier: CommunicationIdentifier,
) => SerializedCommunicationIdentifier;
export declare const deserializeCommunicationIdentifier: (
    serializedIdentifier: SerializedCommunicationIdentifier,
) => CommunicationIdentifierKind;

/** A key that is not shown when it is printed. */
export interface KeyCredential {
    readonly key: string;
}
export interface EndpointCredential {
    endpoint: string;
    credential: KeyCredential;
}
/** Reads `endpoint=…;accesskey=…`, as the Azure portal shows it. */
export declare const parseConnectionString: (connectionString: string) => EndpointCredential;
/** Whether this is a key, and not a source of tokens. */
export declare const isKeyCredential: (credential: unknown) => credential is KeyCredential;
export interface UrlWithCredential {
    url: string;
    credential: TokenCredential | KeyCredential;
}
/**
 * What a client is made from: an endpoint (https; plain http only to this computer) and a credential, or a connection string. Fails
 * if it is neither.
 */
export declare const parseClientArguments: (
    connectionStringOrUrl: string,
    credentialOrOptions?: unknown,
) => UrlWithCredential;

/** A policy for the pipelines of `@azure/core-rest-pipeline`. */
export interface PipelinePolicyLike {
    name: string;
    sendRequest(request: any, next: (request: any) => Promise<any>): Promise<any>;
}
/**
 * Puts a token on each request, or signs it with a key. The token is asked for at each request, for the scope
 * `https://communication.azure.com//.default`: the credential has to keep it, as those of this package and of `@azure/identity` do.
 * Never sends it by plain http, except to this computer.
 */
export declare function createCommunicationAuthPolicy(credential: KeyCredential | TokenCredential): PipelinePolicyLike;
/**
 * Signs each request with the key of the moment. Add it after what repeats requests: a signature holds for minutes. A request with a
 * stream as its body fails. For servers: a key in a page is everyone's.
 */
export declare function createCommunicationAccessKeyCredentialPolicy(credential: KeyCredential): PipelinePolicyLike;

export interface RestErrorOptions {
    code?: string;
    statusCode?: number;
    request?: any;
    response?: any;
}
/** The service refused a request. `request` and `response` do not show when it is printed. */
export declare class RestError extends Error {
    static readonly REQUEST_SEND_ERROR: string;
    static readonly PARSE_ERROR: string;
    constructor(message: string, options?: RestErrorOptions);
    code?: string;
    statusCode?: number;
    request?: any;
    response?: any;
}
/** Also true for one of another copy of the class. */
export declare function isRestError(error: unknown): error is RestError;
