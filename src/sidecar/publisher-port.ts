/** Port: one question to one publisher. `host/https-source.ts` asks over pinned TLS 1.3. */

export interface PublisherQuestion {
  /** `https://host:port` from the root (or, before the first root, from the join token). */
  readonly url: string;
  /**
   * `sha256/<base64>` pins of its certificate authority or of its own key. `content_is_pinned` is
   * for the one document whose hash a join token pins: then anybody may deliver it.
   */
  readonly pins: readonly string[] | 'content_is_pinned';
  /** Absolute path with query, such as `/v1/root/8`. */
  readonly path: string;
  /** `PF-Nonce`: asks for a receipt. */
  readonly nonce?: string;
  /** `If-None-Match`, as the publisher gave it. */
  readonly etag?: string;
  /** How long the publisher may hold the question back (`?wait=`); 0 for a plain answer. */
  readonly waitMs: number;
  readonly maxBytes: number;
  /** What the answer must be; JSON where nothing is said. */
  readonly wants?: 'json' | 'text';
}

export type PublisherAnswer = {
  /** `PF-Receipt`, unverified. */
  readonly receipt?: string;
  /** Things worth telling that refuse nothing, such as a certificate out of its dates. */
  readonly warnings: readonly string[];
} & (
  | { readonly kind: 'document'; readonly body: Uint8Array; readonly etag?: string }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'absent' }
);

export interface PublisherLink {
  /** Throws PeerError: `dns_failed` … `content_type` (E101–E109); rejects when `signal` aborts. */
  ask(question: PublisherQuestion, signal?: AbortSignal): Promise<PublisherAnswer>;
}
